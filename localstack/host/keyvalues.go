package host

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// KeyValues answers as a key value store of CloudFront. The zero value is empty.
type KeyValues struct {
	// Overtaken is called before each update; another writer is first if it returns true.
	Overtaken func() bool

	mu      sync.Mutex
	values  map[string]string
	version int
	largest int // number of keys in an update
}

// KeyValuesARN is the ARN of the store.
const KeyValuesARN = "arn:aws:cloudfront::123456789012:key-value-store/6ef31dc5-0000-0000-0000-000000000000"

// Values returns all values.
func (k *KeyValues) Values() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.values)
}

// Largest returns the number of keys in the largest update.
func (k *KeyValues) Largest() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.largest
}

// ServeHTTP answers a call that is signed by Signature Version 4A. It does not check the
// signature.
func (k *KeyValues) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-ECDSA-P256-SHA256 ") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	rest, _ := strings.CutPrefix(r.URL.Path, "/key-value-stores/"+KeyValuesARN)
	switch r.Method + " " + rest {
	case "GET ":
		w.Header().Set("ETag", fmt.Sprint(k.version))
		json.NewEncoder(w).Encode(map[string]any{"ItemCount": len(k.values), "TotalSizeInBytes": 1, "KvsARN": KeyValuesARN, "Created": 1})
	case "GET /keys":
		k.list(w, r)
	case "POST /keys":
		k.update(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (k *KeyValues) list(w http.ResponseWriter, r *http.Request) {
	names := slices.Sorted(maps.Keys(k.values))
	at, _ := strconv.Atoi(r.URL.Query().Get("NextToken"))
	most, _ := strconv.Atoi(r.URL.Query().Get("MaxResults"))
	answer, items := map[string]any{}, []map[string]string{}
	for _, name := range names[at:min(at+most, len(names))] {
		items = append(items, map[string]string{"Key": name, "Value": k.values[name]})
	}
	if answer["Items"] = items; at+most < len(names) {
		answer["NextToken"] = strconv.Itoa(at + most)
	}
	json.NewEncoder(w).Encode(answer)
}

func (k *KeyValues) update(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Puts    []struct{ Key, Value string }
		Deletes []struct{ Key string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if k.Overtaken != nil && k.Overtaken() {
		k.version++
	}
	if r.Header.Get("If-Match") != fmt.Sprint(k.version) {
		w.Header().Set("X-Amzn-Errortype", "ConflictException")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"Message":"another version"}`)
		return
	}
	if k.values == nil {
		k.values = map[string]string{}
	}
	k.version++
	k.largest = max(k.largest, len(body.Puts)+len(body.Deletes))
	for _, p := range body.Puts {
		k.values[p.Key] = p.Value
	}
	for _, d := range body.Deletes {
		delete(k.values, d.Key)
	}
	json.NewEncoder(w).Encode(map[string]any{"ItemCount": len(k.values), "TotalSizeInBytes": 1})
}
