package lists

import (
	"context"
	"iter"
	"strconv"
	"strings"

	"aptless/core/engine/driver"
)

// prefix is the key prefix of all objects of lists.
const prefix = "private/chunks/"

// Stored is an object below the prefix of lists.
type Stored struct {
	Key   string
	Epoch int64 // in which it was written; -1 if the key is not one of ObjectKey
}

// Stored yields the objects whose key is greater than after, in ascending byte
// order of the key.
func (s *Store) Stored(ctx context.Context, after string) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		for info, err := range s.Blobs.List(ctx, prefix, after) {
			if !yield(stored(info), err) || err != nil {
				return
			}
		}
	}
}

func stored(info driver.Info) Stored {
	o := Stored{info.Key, -1}
	part := strings.Split(strings.TrimPrefix(info.Key, prefix), "/")
	if len(part) != 3 {
		return o
	}
	epoch, err := strconv.ParseInt(part[0], 10, 64)
	var d Digest
	if err == nil && epoch >= 0 && d.UnmarshalText([]byte(part[2])) == nil && ObjectKey(epoch, d) == info.Key {
		o.Epoch = epoch
	}
	return o
}
