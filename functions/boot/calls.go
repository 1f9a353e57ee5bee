package boot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"aptless/core/front/api"
	"aptless/infra/aws/lambda"
)

// API answers the requests of API Gateway. It answers 503 while the application cannot be
// made.
func (f *Function) API(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := f.open(r.Context())
		if err != nil {
			f.Log.Error("function cannot answer", "error", err)
			_ = api.WriteJSON(w, http.StatusServiceUnavailable, map[string]string{"error": "the service cannot start; its log says why"})
			return
		}
		a.Handler.ServeHTTP(w, rooted(r))
	})
	return lambda.API(handler, f.answers)(ctx, event)
}

// answers returns the store of answers that do not fit into an event.
func (f *Function) answers(ctx context.Context) (lambda.Answers, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.connected(ctx)
	if err != nil {
		return nil, err
	}
	if p.aws == nil {
		return nil, errors.New("no store for long answers")
	}
	return p.aws.Blobs, nil
}

// rooted returns a request for the root page in place of one for the root object, for which
// CloudFront asks.
func rooted(r *http.Request) *http.Request {
	if r.URL.Path != "/index.html" {
		return r
	}
	root := r.Clone(r.Context())
	root.URL.Path, root.URL.RawPath = "/", ""
	root.RequestURI = root.URL.RequestURI()
	return root
}

// oneOff is a call of the function that is no request: {"aptless":"create-admin-token",
// "Name":"first"}. An HTTP request cannot be one: its text is inside of the event's
// body. Only a caller with the right lambda:InvokeFunction can send it.
type oneOff struct {
	Aptless string `json:"aptless"`
	Name    string
}

// createdToken is the answer to the one-off call.
type createdToken struct{ ID, Token string }

// Call answers an event of API Gateway, or a one-off call.
func (f *Function) Call(ctx context.Context, raw json.RawMessage) (any, error) {
	var once oneOff
	if err := json.Unmarshal(raw, &once); err != nil {
		return nil, err
	}
	if once.Aptless == "" {
		var event events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(raw, &event); err != nil {
			return nil, err
		}
		return f.API(ctx, event)
	}
	if once.Aptless != "create-admin-token" {
		return nil, fmt.Errorf("%.50q is no call: create-admin-token is the only one", once.Aptless)
	}
	a, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	id, secret, err := a.CreateAdmin(ctx, cmp.Or(once.Name, "first"))
	if err != nil {
		return nil, err
	}
	return createdToken{id, secret}, nil
}

// Worker returns the handler of SQS events. It runs their tasks. A delivery has the time
// slice; a longer task continues in another delivery.
func (f *Function) Worker(slice time.Duration) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
		w, err := f.worker(ctx, slice)
		if err != nil {
			f.Log.Error("function has no storage", "error", err)
			return events.SQSEventResponse{}, err
		}
		return w.Deliver(ctx, event)
	}
}

// dropped is an event of EventBridge about an object that was put.
type dropped struct {
	DetailType string `json:"detail-type"`
	Detail     struct {
		Object    struct{ Key string }
		Requester string // an account, or the name of a service
		SourceIP  string `json:"source-ip-address"`
	}
}

// Schedule runs one tick, or takes a file that has arrived in the drop box.
func (f *Function) Schedule(ctx context.Context, raw json.RawMessage) error {
	a, err := f.open(ctx)
	if err != nil {
		f.Log.Error("tick failed: the application cannot be made", "error", err)
		return err
	}
	var event dropped
	if err := json.Unmarshal(raw, &event); err == nil && event.DetailType == "Object Created" {
		return a.Dropped(ctx, "drop/"+event.Detail.Object.Key, event.Detail.Requester, event.Detail.SourceIP)
	}
	return lambda.Schedule(a.Tick)(ctx)
}
