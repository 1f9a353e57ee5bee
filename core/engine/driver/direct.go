package driver

import (
	"context"
	"time"
)

// Direct is an optional interface of Blobs: clients put objects into the store
// directly, without a transfer through aptless.
type Direct interface {
	// SignPut returns a signed request that puts an object of exactly this size and
	// SHA-256 (lower-case hex) under key, if the key is absent. The store refuses
	// other bytes. The request needs no other credentials until expires has passed.
	SignPut(ctx context.Context, key string, size int64, sha256 string, expires time.Duration) (SignedPut, error)

	// BeginParts begins an object that clients put in parts, and returns the name of
	// the begun object. It takes space until CompleteParts or AbortParts. The operator's
	// store may abort it after a day.
	BeginParts(ctx context.Context, key string) (id string, err error)

	// SignPart is SignPut for a part of a begun object. Parts have the numbers 1 to
	// MaxParts. A part that is put again replaces the earlier one.
	SignPart(ctx context.Context, key, id string, part Part, expires time.Duration) (SignedPut, error)

	// Parts returns the parts that clients have put, ascending by number.
	// ErrNotFound: the object is complete, or was aborted.
	Parts(ctx context.Context, key, id string) ([]Part, error)

	// CompleteParts joins the parts, all that were put, to the object under key, if the
	// key is absent. A repeated call may return nil, ErrNotFound as Parts does, or
	// ErrExists: the key is taken.
	CompleteParts(ctx context.Context, key, id string, parts []Part) error

	// AbortParts removes the parts. A begun object that is not there is no error.
	AbortParts(ctx context.Context, key, id string) error
}

// Bounds of an object in parts. Every part but the last has MinPart bytes at least.
const (
	MaxParts = 10_000
	MinPart  = 5 << 20
)

// Part is a part of an object.
type Part struct {
	Number int
	Size   int64  // bytes
	SHA256 string // lower-case hex
	ETag   string // from Parts, for CompleteParts
}

// SignedPut is a request that carries its own authorisation.
type SignedPut struct {
	URL     string
	Headers map[string]string // required, unchanged; the store refuses the PUT without them
}
