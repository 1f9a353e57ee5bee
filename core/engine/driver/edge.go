package driver

import (
	"context"
	"iter"
)

// Edge is a store of small values beside the published files. The program that serves
// the files reads it at each request. A change reaches all servers within seconds to some
// ten seconds. A nil Edge is none: then the process itself serves the files.
type Edge interface {
	// Update puts and removes values. It is atomic for up to MaxEdge keys and may be
	// repeated: keys that are removed need not exist.
	Update(ctx context.Context, put map[string]string, remove []string) error

	// Keys yields all keys, in no order.
	Keys(ctx context.Context) iter.Seq2[string, error]
}

// MaxEdge is the number of keys that an Update of an Edge changes at once.
const MaxEdge = 50
