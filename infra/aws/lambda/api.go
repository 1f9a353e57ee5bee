package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// MaxBody is the largest body of a request, in bytes. A function is called with
// at most 6 MB, in which a binary body is base64 and has headers beside it. API
// Gateway refuses more by itself, in its own words.
const MaxBody = 4_500_000

// maxAnswer is the largest event that a function may answer with, in bytes.
const maxAnswer = 6_000_000

// margin is what is kept of the time of a call to answer and to let go.
const margin = time.Second

// API returns the function that answers the requests of API Gateway with a handler.
func API(h http.Handler) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		ctx, cancel := early(ctx)
		defer cancel()
		answer := &answer{header: http.Header{}}
		req, err := request(ctx, event)
		if err != nil {
			answer.refuse(http.StatusBadRequest, err.Error())
		} else if req.ContentLength > MaxBody {
			answer.refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf(
				"a request of more than %d bytes does not get through: POST /api/files/{dir} "+
					`with a JSON list of {"name", "size", "sha256"} answers URLs to upload to`, MaxBody))
		} else {
			h.ServeHTTP(answer, req)
		}
		return answer.event(), nil
	}
}

// early returns a context that ends margin before the one given.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-margin))
	}
	return context.WithCancel(ctx)
}

// request makes the request of an event.
func request(ctx context.Context, event events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := event.Body
	if event.IsBase64Encoded {
		data, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return nil, fmt.Errorf("body of the request: %w", err)
		}
		body = string(data)
	}
	u := &url.URL{Path: event.RawPath, RawQuery: event.RawQueryString}
	// The path may come as it was sent, or with its escapes resolved.
	if p, err := url.PathUnescape(event.RawPath); err == nil {
		u.Path, u.RawPath = p, event.RawPath
	}
	req, err := http.NewRequestWithContext(ctx, event.RequestContext.HTTP.Method, "/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.URL, req.RequestURI = u, u.RequestURI()
	for name, value := range event.Headers { // the values of one name are joined by commas
		req.Header.Set(name, value)
	}
	for _, c := range event.Cookies {
		req.Header.Add("Cookie", c)
	}
	req.Host = req.Header.Get("Host")
	if req.Host == "" {
		req.Host = event.RequestContext.DomainName
	}
	if ip := event.RequestContext.HTTP.SourceIP; ip != "" {
		req.RemoteAddr = net.JoinHostPort(ip, "0")
	}
	return req, nil
}

// answer is an http.ResponseWriter that keeps what is written.
type answer struct {
	header http.Header
	sent   http.Header // as they were when the status was written
	status int
	body   []byte
	over   bool // the body is larger than can be answered
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.over || len(a.body)+len(p) > maxAnswer {
		a.over = true
		return 0, io.ErrShortWrite
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// refuse replaces whatever was written by an error in the form of the API.
func (a *answer) refuse(status int, text string) {
	a.status, a.over = status, false
	a.sent = http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	a.body, _ = json.Marshal(map[string]string{"error": text})
}

// event returns the answer as API Gateway takes it.
func (a *answer) event() events.APIGatewayV2HTTPResponse {
	a.WriteHeader(http.StatusOK)
	binary := !utf8.Valid(a.body) || a.sent.Get("Content-Encoding") != ""
	size := len(a.body)
	if binary {
		size = base64.StdEncoding.EncodedLen(size)
	} else if quoted, err := json.Marshal(string(a.body)); err == nil {
		size = len(quoted)
	}
	if a.over || size > maxAnswer {
		a.refuse(http.StatusInternalServerError, fmt.Sprintf("the answer is larger than %d bytes: ask for less at a time", maxAnswer))
		binary = false
	}
	event := events.APIGatewayV2HTTPResponse{StatusCode: a.status, Headers: map[string]string{}, Body: string(a.body)}
	if binary {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(a.body), true
	}
	for name, values := range a.sent {
		if name == "Set-Cookie" {
			event.Cookies = values
			continue
		}
		event.Headers[name] = strings.Join(values, ", ")
	}
	return event
}
