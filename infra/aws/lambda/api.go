package lambda

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
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

// MaxBody is the largest body of a request, in bytes. The event of a function has at most
// 6 MB, and contains a binary body as base64 beside the headers. API Gateway refuses
// larger ones itself, with its own text.
const MaxBody = 4_500_000

// maxAnswer is the largest event that a function may return, in bytes.
const maxAnswer = 6_000_000

// maxHeld is the part of an answer that is held, in bytes. The rest of a longer one goes
// to its store while the handler writes it.
const maxHeld = 2 * maxAnswer

// margin is the time kept of each call to answer and to clean up.
const margin = time.Second

type callerKey struct{}

// Caller returns the ARN of the caller whose AWS credentials API Gateway has verified;
// "" if it has verified none. It comes from the event, never from a header or a body.
func Caller(ctx context.Context) string {
	arn, _ := ctx.Value(callerKey{}).(string)
	return arn
}

// Answers stores answers that do not fit into an event.
type Answers interface {
	// PutAnswer stores an answer with its media type and encoding, and returns a URL which
	// clients can read for some minutes without credentials.
	PutAnswer(ctx context.Context, r io.Reader, contentType, encoding string) (url string, err error)
}

// API returns a function that answers API Gateway's requests with a handler. An answer
// that does not fit into an event is stored, and the client is sent to it by 303. store
// returns the store; without one such an answer is refused.
func API(h http.Handler, store func(context.Context) (Answers, error)) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		ctx, cancel := early(ctx)
		defer cancel()
		if a := event.RequestContext.Authorizer; a != nil && a.IAM != nil {
			ctx = context.WithValue(ctx, callerKey{}, a.IAM.UserARN)
		}
		answer := &answer{ctx: ctx, header: http.Header{}, store: store}
		req, err := request(ctx, event)
		if err != nil {
			answer.refuse(http.StatusBadRequest, err.Error())
		} else if req.ContentLength > MaxBody {
			answer.refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf(
				"a request of more than %d bytes does not get through: POST /api/files/{dir} "+
					`with a JSON list of {"name", "size", "sha256"} answers URLs to upload to`, MaxBody))
		} else {
			answer.from(h, req)
			answer.compress(req)
			answer.redirect()
		}
		return answer.event(), nil
	}
}

// from has a handler answer a request. A handler that breaks its answer off panics with
// http.ErrAbortHandler, so that a client sees the end of the connection. Here the whole
// answer is replaced, and the process goes on.
func (a *answer) from(h http.Handler, r *http.Request) {
	defer func() {
		p := recover()
		if a.rest != nil {
			a.rest.end(p != nil)
		}
		switch p {
		case nil:
		case http.ErrAbortHandler:
			a.rest = nil
			a.refuse(http.StatusInternalServerError, "the answer could not be read to its end")
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(a, r)
}

// minCompressed is the size of the smallest answer that is compressed, in bytes.
const minCompressed = 1 << 10

// compress compresses an answer of text or JSON for a client that takes gzip. So listings
// fit into an event that would not.
func (a *answer) compress(r *http.Request) {
	kind := a.sent.Get("Content-Type")
	text := strings.HasPrefix(kind, "text/") || strings.HasPrefix(kind, "application/json")
	if a.rest != nil || len(a.body) < minCompressed || !text || a.sent.Get("Content-Encoding") != "" || a.sent.Get("Content-Range") != "" || !accepts(r) {
		return
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(a.body) // a buffer takes all
	w.Close()
	a.body = b.Bytes()
	a.sent.Set("Content-Encoding", "gzip")
	a.sent.Add("Vary", "Accept-Encoding")
	a.sent.Del("Content-Length")
}

// accepts reports whether a client takes gzip.
func accepts(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.TrimRight(strings.ReplaceAll(weight, " ", ""), ".0") != "q="
		}
	}
	return false
}

// early returns a context that ends margin before its parent.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-margin))
	}
	return context.WithCancel(ctx)
}

// request converts an event to a request.
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
	// The path of the event is escaped or unescaped.
	if p, err := url.PathUnescape(event.RawPath); err == nil {
		u.Path, u.RawPath = p, event.RawPath
	}
	req, err := http.NewRequestWithContext(ctx, event.RequestContext.HTTP.Method, "/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.URL, req.RequestURI = u, u.RequestURI()
	for name, value := range event.Headers { // API Gateway joins the values of one name with commas
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

// answer is an http.ResponseWriter that buffers the answer.
type answer struct {
	ctx    context.Context
	store  func(context.Context) (Answers, error)
	header http.Header
	sent   http.Header // the headers at the time of WriteHeader
	status int
	body   []byte
	over   bool   // the body does not fit, and there is no store
	rest   *spill // the body, if it is longer than maxHeld
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.rest != nil {
		return a.rest.w.Write(p)
	}
	if !a.over && len(a.body)+len(p) > maxHeld {
		a.over = a.spill() != nil
		if a.rest != nil {
			return a.rest.w.Write(p)
		}
	}
	if a.over {
		return 0, io.ErrShortWrite
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// spill is an answer on its way to the store.
type spill struct {
	w    *io.PipeWriter
	done chan struct{} // closed when url and err are set
	url  string
	err  error
}

// end waits for the store. An answer that was broken off is not stored.
func (s *spill) end(broken bool) {
	if broken {
		s.w.CloseWithError(http.ErrAbortHandler)
	} else {
		s.w.Close()
	}
	<-s.done
}

// errNoStore says that an answer has no other place.
var errNoStore = errors.New("no store for long answers")

// spill begins to store the answer: the held bytes, then the following ones. Only a whole
// answer with status 200 or 201 has a place in the store.
func (a *answer) spill() error {
	if a.store == nil || a.status != http.StatusOK && a.status != http.StatusCreated {
		return errNoStore
	}
	store, err := a.store(a.ctx)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	s := &spill{w: w, done: make(chan struct{})}
	body := io.MultiReader(bytes.NewReader(a.body), r)
	kind, encoding := a.sent.Get("Content-Type"), a.sent.Get("Content-Encoding")
	go func() {
		defer close(s.done)
		s.url, s.err = store.PutAnswer(a.ctx, body, kind, encoding)
		r.CloseWithError(io.ErrClosedPipe) // the handler must not wait for a store that failed
	}()
	a.rest = s
	return nil
}

// Restart drops the answer, also the part that is on its way to the store. Nothing of it
// has been sent. It reports true.
func (a *answer) Restart() bool {
	if a.rest != nil {
		a.rest.end(true)
	}
	a.rest, a.body, a.status, a.over = nil, nil, 0, false
	return true
}

// redirect sends the client to the answer in the store, if it does not fit.
func (a *answer) redirect() {
	if a.rest == nil && !a.over && a.size() > maxAnswer && a.spill() == nil {
		a.rest.end(false)
	}
	if a.rest == nil {
		return
	}
	url, err := a.rest.url, a.rest.err
	if a.rest = nil; err != nil {
		a.refuse(http.StatusInternalServerError, "the answer is too long, and it could not be stored")
		return
	}
	a.status = http.StatusSeeOther
	a.body = []byte("{}")
	a.sent = a.sent.Clone()
	a.sent.Del("Content-Encoding")
	a.sent.Set("Content-Type", "application/json; charset=utf-8")
	a.sent.Set("Location", url)
}

// refuse replaces the answer by an error in the form of the API.
func (a *answer) refuse(status int, text string) {
	a.status, a.over = status, false
	a.sent = http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	a.body, _ = json.Marshal(map[string]string{"error": text})
}

// binary reports whether the body is sent as base64.
func (a *answer) binary() bool { return !utf8.Valid(a.body) || a.sent.Get("Content-Encoding") != "" }

// size returns the size of the body in an event.
func (a *answer) size() int {
	a.WriteHeader(http.StatusOK)
	if a.binary() {
		return base64.StdEncoding.EncodedLen(len(a.body))
	}
	quoted, err := json.Marshal(string(a.body))
	if err != nil {
		return len(a.body)
	}
	return len(quoted)
}

// event converts the answer to API Gateway's form.
func (a *answer) event() events.APIGatewayV2HTTPResponse {
	if a.size() > maxAnswer || a.over {
		a.refuse(http.StatusInternalServerError, fmt.Sprintf("the answer is larger than %d bytes: ask for less at a time", maxAnswer))
	}
	binary := a.binary()
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
