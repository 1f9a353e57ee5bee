package fsck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"

	"aptless/core/engine/driver"
)

// hash is a short name of a record or a file: 64 bits of its digest.
type hash uint64

func hashOf(name string) hash {
	sum := sha256.Sum256([]byte(name))
	return hash(binary.BigEndian.Uint64(sum[:8]))
}

// shared is the owner of a file that several objects have. A file of unowned is in no present list.
const (
	shared  = -1
	unowned = -2
)

// owned is a package file, and the number of the only object that has it.
type owned struct {
	Size  int64
	Owner int
}

// State is all that later steps and slices need.
type State struct {
	Report  Report
	Needed  map[hash]bool // package records that lists name; true once the record was read
	Files   map[hash]owned
	Objects []Object
	Chunks  map[string]sum  // sizes of the chunks that were read
	Notes   json.RawMessage // the cursor of the published files
}

// sum is the packages of a chunk and the bytes of their files.
type sum struct {
	Packages int
	Bytes    int64
}

func newState() *State {
	return &State{Needed: map[hash]bool{}, Files: map[hash]owned{}, Chunks: map[string]sum{}}
}

// maxState bounds a stored State, in bytes.
const maxState = 1 << 30

// store writes the state and returns its key.
func (st *State) store(ctx context.Context, blobs driver.Blobs, key string) error {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(st); err != nil {
		return err
	}
	_, err := blobs.Put(ctx, key, &b, driver.PutOptions{Size: int64(b.Len())})
	return err
}

// load reads a stored state.
func load(ctx context.Context, blobs driver.Blobs, key string) (*State, error) {
	r, _, err := blobs.Open(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	st := newState()
	if err := gob.NewDecoder(io.LimitReader(r, maxState)).Decode(st); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return st, nil
}
