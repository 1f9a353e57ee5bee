package host

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// maxRequest is API Gateway's limit of a request's body, in bytes.
const maxRequest = 10 << 20

// integrationTimeout is API Gateway's limit of a call.
const integrationTimeout = 30 * time.Second

// Gateway answers requests like an HTTP API of API Gateway with payload format 2.0.
type Gateway struct {
	Function *Function

	// Users are the holders of AWS credentials by access key. The gateway asks for their
	// signatures below /api if Users is not nil, as a route with AWS_IAM does. Otherwise it
	// passes all requests: the function asks for tokens itself.
	Users map[string]User
}

// ServeHTTP answers a request with the function's answer.
func (g Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		refuse(w, http.StatusBadRequest, "Bad Request")
		return
	}
	call := event(r, body)
	if !g.authorize(&call, r, body) {
		refuse(w, http.StatusForbidden, "Forbidden")
		return
	}
	payload, err := json.Marshal(call)
	if err != nil || len(body) > maxRequest || len(payload) > maxPayload {
		refuse(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	// The function continues after the client has disconnected or the timeout has passed.
	type result struct {
		out []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := g.Function.Invoke(context.WithoutCancel(r.Context()), payload)
		done <- result{out, err}
	}()
	late := time.NewTimer(integrationTimeout)
	defer late.Stop()
	var out []byte
	select {
	case d := <-done:
		out, err = d.out, d.err
	case <-late.C:
		refuse(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	var answer events.APIGatewayV2HTTPResponse
	if err == nil {
		err = json.Unmarshal(out, &answer)
	}
	data := []byte(answer.Body)
	if err == nil && answer.IsBase64Encoded {
		data, err = base64.StdEncoding.DecodeString(answer.Body)
	}
	if err != nil || answer.StatusCode < 100 || answer.StatusCode > 599 {
		refuse(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	for _, c := range answer.Cookies {
		w.Header().Add("Set-Cookie", c)
	}
	w.WriteHeader(answer.StatusCode)
	w.Write(data)
}

// authorize puts the caller into an event. It reports false for a request without a valid
// signature where the gateway asks for one.
func (g Gateway) authorize(call *events.APIGatewayV2HTTPRequest, r *http.Request, body []byte) bool {
	if pages := r.Method == http.MethodGet || r.Method == http.MethodHead; g.Users == nil || pages && !strings.HasPrefix(r.URL.EscapedPath(), "/api/") {
		return true
	}
	key, ok := signedBy(r, body, g.Users, time.Now())
	call.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{AccessKey: key, UserARN: g.Users[key].ARN}}
	return ok
}

// refuse answers with API Gateway's own text.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"message": text})
}

// event converts a request to an event.
func event(r *http.Request, body []byte) events.APIGatewayV2HTTPRequest {
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: r.URL.EscapedPath(), RawQueryString: r.URL.RawQuery,
		Headers: map[string]string{"host": r.Host}, Body: string(body),
	}
	for name, values := range r.Header {
		if name != "Cookie" {
			e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
			continue
		}
		for _, v := range values {
			e.Cookies = append(e.Cookies, strings.Split(v, "; ")...)
		}
	}
	if !utf8.Valid(body) || strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	e.RequestContext.Stage, e.RequestContext.DomainName = "$default", r.Host
	e.RequestContext.HTTP = events.APIGatewayV2HTTPRequestContextHTTPDescription{
		Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: ip, UserAgent: r.UserAgent(),
	}
	return e
}
