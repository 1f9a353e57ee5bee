package boot

import (
	"context"
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
		a.Handler.ServeHTTP(w, r)
	})
	return lambda.API(handler)(ctx, event)
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

// Schedule runs one tick.
func (f *Function) Schedule(ctx context.Context) error {
	a, err := f.open(ctx)
	if err != nil {
		f.Log.Error("tick failed: the application cannot be made", "error", err)
		return err
	}
	return lambda.Schedule(a.Tick)(ctx)
}
