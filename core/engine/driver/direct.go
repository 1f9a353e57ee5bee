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
}

// SignedPut is a request that carries its own authorisation.
type SignedPut struct {
	URL     string
	Headers map[string]string // required, unchanged; the store refuses the PUT without them
}
