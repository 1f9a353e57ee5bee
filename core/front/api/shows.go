package api

import "context"

// shows reports whether the sender of a request may read the files of a prefix.
func (c *call) shows(storage, prefix string) bool {
	return c.hides == nil || c.hides.Readable(c.principal, storage, prefix)
}

// Shows reports whether the sender of a request may read the files of a prefix, by the
// context of the request.
func Shows(ctx context.Context, storage, prefix string) bool {
	return callOf(ctx).shows(storage, prefix)
}
