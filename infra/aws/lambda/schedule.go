package lambda

import "context"

// Schedule returns the function that calls a tick; what the event says is not
// looked at. An error has Lambda call it again.
func Schedule(tick func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := early(ctx)
		defer cancel()
		return tick(ctx)
	}
}
