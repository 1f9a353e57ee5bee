package driver

import (
	"context"
	"time"
)

// Direct is what Blobs may be able to do besides: it lets a client put an
// object without its bytes' passing through aptless.
type Direct interface {
	// SignPut returns the request that puts an object of exactly this size and
	// SHA-256 (lower-case hex) under key, unless there is one. The store refuses
	// other bytes. Whoever has the request can send it until expires is over.
	SignPut(ctx context.Context, key string, size int64, sha256 string, expires time.Duration) (SignedPut, error)
}

// SignedPut is a request that needs no other credentials than itself.
type SignedPut struct {
	URL     string
	Headers map[string]string // to be sent as they are; a PUT without them is refused
}
