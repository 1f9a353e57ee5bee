package gc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"aptless/core/engine/driver"
)

// marks is a set of needed names, 8 bytes each. Names with equal hashes keep each
// other, so a dead thing may stay. It is safe for concurrent use.
type marks struct {
	mu     sync.RWMutex
	sorted []uint64
	fresh  map[uint64]struct{} // not yet in sorted
	stored bool                // the stored object is complete
}

// minFresh is the minimal number of marks per merge.
const minFresh = 1 << 16

func newMarks() *marks { return &marks{fresh: map[uint64]struct{}{}} }

// hashOf is equal in all processes.
func hashOf(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint64(sum[:8])
}

// add marks a name. It reports whether the name is new.
func (m *marks) add(name string) bool {
	h := hashOf(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.fresh[h]; ok {
		return false
	}
	if _, ok := slices.BinarySearch(m.sorted, h); ok {
		return false
	}
	m.fresh[h], m.stored = struct{}{}, false
	if len(m.fresh) >= max(minFresh, len(m.sorted)/4) {
		m.merge()
	}
	return true
}

func (m *marks) has(name string) bool {
	h := hashOf(name)
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, ok := m.fresh[h]; ok {
		return true
	}
	_, ok := slices.BinarySearch(m.sorted, h)
	return ok
}

// merge merges fresh into sorted.
func (m *marks) merge() {
	if len(m.fresh) == 0 {
		return
	}
	fresh := make([]uint64, 0, len(m.fresh))
	for h := range m.fresh {
		fresh = append(fresh, h)
	}
	slices.Sort(fresh)
	all := make([]uint64, 0, len(m.sorted)+len(fresh))
	for i, j := 0, 0; i < len(m.sorted) || j < len(fresh); {
		if j == len(fresh) || i < len(m.sorted) && m.sorted[i] < fresh[j] {
			all = append(all, m.sorted[i])
			i++
			continue
		}
		all = append(all, fresh[j])
		j++
	}
	m.sorted = all
	clear(m.fresh)
}

func (m *marks) encode() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.merge()
	data := make([]byte, 0, 8*len(m.sorted))
	for _, h := range m.sorted {
		data = binary.BigEndian.AppendUint64(data, h)
	}
	return data
}

func decodeMarks(data []byte) *marks {
	m := newMarks()
	m.sorted, m.stored = make([]uint64, 0, len(data)/8), true
	for ; len(data) >= 8; data = data[8:] {
		m.sorted = append(m.sorted, binary.BigEndian.Uint64(data))
	}
	return m
}

// object names an object that a collection stores for its next slice.
type object struct {
	Key    string
	SHA256 string // of its bytes; a truncated set of marks would delete needed things
	Size   int64
}

// errDamaged says that a stored object has changed.
var errDamaged = errors.New("stored state of the collection is damaged")

func putObject(ctx context.Context, blobs driver.Blobs, key string, data []byte) (object, error) {
	sum := sha256.Sum256(data)
	o := object{key, hex.EncodeToString(sum[:]), int64(len(data))}
	_, err := blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{SHA256: o.SHA256, Size: o.Size})
	return o, err
}

func (o object) read(ctx context.Context, blobs driver.Blobs) ([]byte, error) {
	r, _, err := blobs.Open(ctx, o.Key, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, o.Size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Key, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != o.SHA256 {
		return nil, fmt.Errorf("%s: %w", o.Key, errDamaged)
	}
	return data, nil
}
