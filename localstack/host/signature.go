package host

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// User is a holder of AWS credentials.
type User struct {
	Secret string
	ARN    string
}

// skew is how far the time of a signature may be off.
const skew = 5 * time.Minute

// signedBy returns the access key that has signed a request with Signature Version 4 for
// execute-api, and whether its signature is valid. The body counts, unlike for S3.
func signedBy(r *http.Request, body []byte, users map[string]User, now time.Time) (string, bool) {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "", false
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/") // key, date, region, service, aws4_request
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || len(scope) != 5 || now.Sub(at).Abs() > skew {
		return "", false
	}
	user, known := users[scope[0]]
	names := strings.Split(parts["SignedHeaders"], ";")
	if !known || scope[1] != at.Format("20060102") || scope[3] != "execute-api" || scope[4] != "aws4_request" ||
		!slices.Contains(names, "host") || !slices.IsSorted(names) {
		return "", false
	}
	sum := sha256.Sum256([]byte(canonical(r, body, names)))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + user.Secret)
	for _, part := range append(scope[1:], text) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return scope[0], hmac.Equal([]byte(hex.EncodeToString(key)), []byte(parts["Signature"]))
}

// canonical returns the canonical form of a request. Paths are encoded once more than they
// are sent, as for all services but S3.
func canonical(r *http.Request, body []byte, names []string) string {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i := range segments {
		segments[i] = encode(segments[i])
	}
	var query []string
	for name, values := range r.URL.Query() {
		for _, value := range values {
			query = append(query, encode(name)+"="+encode(value))
		}
	}
	slices.Sort(query)
	var headers strings.Builder
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	sum := sha256.Sum256(body)
	return strings.Join([]string{r.Method, strings.Join(segments, "/"), strings.Join(query, "&"), headers.String(), strings.Join(names, ";"), hex.EncodeToString(sum[:])}, "\n")
}

// encode percent-encodes all but the unreserved characters of RFC 3986.
func encode(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
