package host

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Keys answers as Systems Manager's parameters and as Secrets Manager. The zero value is
// empty.
type Keys struct {
	mu     sync.Mutex
	values map[string]string
}

// Set sets a parameter or secret.
func (k *Keys) Set(name, value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.values == nil {
		k.values = map[string]string{}
	}
	k.values[name] = value
}

// ServeHTTP answers ssm:GetParameter and secretsmanager:GetSecretValue.
func (k *Keys) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var body struct {
		Name, SecretId string
		WithDecryption bool
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	secret := strings.HasPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	name, missing := body.Name, "ParameterNotFound"
	if secret {
		name, missing = body.SecretId, "ResourceNotFoundException"
	}
	value, ok := k.values[name]
	switch {
	case err != nil || !secret && !body.WithDecryption:
		refuseJSON(w, "ValidationException")
	case !ok:
		refuseJSON(w, missing)
	case secret:
		json.NewEncoder(w).Encode(map[string]any{"Name": name, "SecretString": value})
	default:
		json.NewEncoder(w).Encode(map[string]any{"Parameter": map[string]any{"Name": name, "Value": value, "Type": "SecureString"}})
	}
}

// refuseJSON answers with an error of the protocol JSON 1.1.
func refuseJSON(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"__type":%q,"message":%[1]q}`, code)
}
