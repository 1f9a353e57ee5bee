package aws

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"aptless/core/engine/driver"
)

// Settings of connections.
const (
	// silence bounds the time without a byte of an answer. S3 sends blanks while it
	// copies.
	silence = time.Minute
	// idleConns is the number of idle connections to keep for each service. A task has
	// about as many concurrent requests.
	idleConns = 64
)

// client sends the requests of the SDK's clients and counts them. It counts each retry.
type client struct {
	http  aws.HTTPClient
	total *driver.Requests
}

// newClient returns the SDK's HTTP client with this package's settings.
func newClient(sdk aws.HTTPClient, total *driver.Requests) *client {
	if sdk == nil { // nil selects the SDK's default client
		sdk = awshttp.NewBuildableClient()
	}
	if b, ok := sdk.(*awshttp.BuildableClient); ok {
		sdk = b.WithReadTimeout(silence).WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = idleConns })
	}
	return &client{sdk, total}
}

// Do implements aws.HTTPClient.
func (c *client) Do(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	kind := strings.ToLower(strings.ReplaceAll(awsmiddleware.GetServiceID(ctx), " ", "")) + "." + awsmiddleware.GetOperationName(ctx)
	n := int64(1)
	if items, ok := ctx.Value(itemsKey{}).(int); ok {
		n = int64(items)
	}
	c.total.Add(kind, n)
	driver.Count(ctx, kind, n)
	answer, err := c.http.Do(r)
	if t, ok := ctx.Value(triesKey{}).(*tries); ok && !refusal(answer, err) {
		t.open.Add(1)
	}
	return answer, err
}

// refusal reports whether an answer proves that the request had no effect. S3 answers 503
// to reduce the rate of requests. After any other 5xx the request may have had its effect.
func refusal(answer *http.Response, err error) bool {
	return err == nil && (answer.StatusCode >= 400 && answer.StatusCode < 500 || answer.StatusCode == http.StatusServiceUnavailable)
}

type itemsKey struct{}

// items returns a context whose requests count n each, because DynamoDB bills items.
func items(ctx context.Context, n int) context.Context { return context.WithValue(ctx, itemsKey{}, n) }

type triesKey struct{}

// tries counts the attempts of a call whose outcome is unknown.
type tries struct{ open atomic.Int64 }

// watch returns a context whose requests are counted in the returned tries.
func watch(ctx context.Context) (context.Context, *tries) {
	t := new(tries)
	return context.WithValue(ctx, triesKey{}, t), t
}

// unsure reports whether an attempt may have had its effect, because no answer refused it.
func (t *tries) unsure() bool { return t.open.Load() > 0 }

// errUnsure means that a conditional write may have been done before another one. It is
// no success. It is no driver.ErrConflict either, which promises that nothing was done.
var errUnsure = errors.New("the answer to a write was lost, and another one followed it")
