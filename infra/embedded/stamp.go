package embedded

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// stamps hands out times for objects: microseconds that only grow and are
// never handed out twice, whatever the clock does and however the process
// ends. To that end a mark is stored which they do not exceed.
type stamps struct {
	db  *bbolt.DB
	now func() time.Time

	mu   sync.Mutex
	last int64 // handed out; microseconds since 1970
	mark int64 // stored
}

// stampAhead is how far beyond the present the mark is set, in microseconds: a
// commit is paid that often, and after a crash stamps may be that much early.
const stampAhead = 2_000_000

var (
	stampBucket = []byte("stamps")
	stampMark   = []byte("mark")
)

func newStamps(db *bbolt.DB, now func() time.Time) (*stamps, error) {
	s := &stamps{db: db, now: now}
	err := db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(stampBucket)
		if b == nil {
			return nil
		}
		v := b.Get(stampMark)
		if len(v) != 8 {
			return fmt.Errorf("%s: the mark of the stamps has %d bytes", tableFile, len(v))
		}
		s.mark = int64(binary.BigEndian.Uint64(v))
		return nil
	})
	s.last = s.mark
	return s, err
}

// next returns a stamp.
func (s *stamps) next() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamp := max(s.now().UnixMicro(), s.last+1)
	if stamp > s.mark {
		if err := s.setMark(stamp + stampAhead); err != nil {
			return time.Time{}, err
		}
	}
	s.last = stamp
	return time.UnixMicro(stamp), nil
}

// save stores the last stamp as the mark, so that after it the next is not
// ahead of the clock.
func (s *stamps) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == s.mark {
		return nil
	}
	return s.setMark(s.last)
}

func (s *stamps) setMark(mark int64) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(stampBucket)
		if err != nil {
			return err
		}
		return b.Put(stampMark, binary.BigEndian.AppendUint64(nil, uint64(mark)))
	})
	if err != nil {
		return fmt.Errorf("storing the mark of the stamps: %w", err)
	}
	s.mark = mark
	return nil
}
