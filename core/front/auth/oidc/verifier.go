package oidc

import (
	"context"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Verifier verifies ID tokens.
type Verifier struct {
	// Fetch returns the document at an address of https, of at most limit bytes. It
	// follows no redirect, and asks public servers only unless the operator allows more.
	Fetch func(ctx context.Context, url string, limit int64) ([]byte, error)
	Now   func() time.Time

	mu      sync.Mutex
	issuers map[string]*issuer // by name
}

// issuer has the keys of an issuer.
type issuer struct {
	reading chan struct{} // full while keys are read: other tokens of the issuer wait

	// The fields below belong to the reader.

	keys   []jose.JSONWebKey
	read   time.Time // when the keys were read
	asked  time.Time // when the issuer was asked last
	failed bool      // the last question had no good answer
}
