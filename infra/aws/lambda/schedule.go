package lambda

import "context"

// Schedule returns a function that runs a tick for each event. After an error Lambda
// retries the event.
func Schedule(tick func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := early(ctx)
		defer cancel()
		return tick(ctx)
	}
}
