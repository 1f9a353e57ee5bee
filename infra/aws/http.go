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

// Connections.
const (
	// silence is after what time without a byte an answer is given up. S3 sends
	// blanks while it copies.
	silence = time.Minute
	// idleConns is how many connections to a service are kept open: about as
	// many as a task has requests under way.
	idleConns = 64
)

// client makes the requests of the SDK's clients, and counts them: each try of
// what the SDK repeats.
type client struct {
	http  aws.HTTPClient
	total *driver.Requests
}

// newClient returns a client that makes requests as the SDK's does, but for
// what the constants say.
func newClient(sdk aws.HTTPClient, total *driver.Requests) *client {
	if sdk == nil { // the SDK's own is made by each of its clients
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

// refusal says that a request was answered, and not done. 503 is how S3 asks for
// fewer requests; behind any other error of a server it may have been done.
func refusal(answer *http.Response, err error) bool {
	return err == nil && (answer.StatusCode >= 400 && answer.StatusCode < 500 || answer.StatusCode == http.StatusServiceUnavailable)
}

type itemsKey struct{}

// items has requests counted as many times as they have items: that is what
// DynamoDB bills.
func items(ctx context.Context, n int) context.Context { return context.WithValue(ctx, itemsKey{}, n) }

type triesKey struct{}

// tries tells what is known of the tries of a call.
type tries struct{ open atomic.Int64 }

// watch returns a context, and what becomes of the requests made in it.
func watch(ctx context.Context) (context.Context, *tries) {
	t := new(tries)
	return context.WithValue(ctx, triesKey{}, t), t
}

// unsure says that some try may have been done: all that is known is that no
// answer refused it.
func (t *tries) unsure() bool { return t.open.Load() > 0 }

// errUnsure says that a conditional write may have been done before another
// one's: neither a success nor a conflict, which promises that nothing was done.
var errUnsure = errors.New("the answer to a write was lost, and another one followed it")
