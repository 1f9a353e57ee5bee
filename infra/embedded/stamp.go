package embedded

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// stamps hands out times for objects, in microseconds. Stamps only grow, and none is
// handed out twice, also after a crash or with a clock that goes back. A mark is stored
// that no stamp exceeds, and the first stamp of a process is after the mark.
//
// A stamp also says whether a power failure may have torn the object. An object with an
// odd stamp got its name before its bytes were durable. The stamp "synced" is stored
// too: the bytes of all objects up to it are durable.
type stamps struct {
	db     *bbolt.DB
	update func(func(*bbolt.Tx) error) error // of db
	now    func() time.Time

	mu   sync.Mutex
	last int64 // the last stamp, in microseconds since 1970
	mark int64 // as it is stored
}

// stampAhead is the distance of a new mark from the present stamp, in microseconds. So
// the mark costs at most one commit in two seconds. After a crash, stamps may be two
// seconds ahead of the clock.
const stampAhead = 2_000_000

var (
	stampBucket = []byte("stamps")
	stampMark   = []byte("mark")
	stampSynced = []byte("synced")
	stampBoot   = []byte("boot")
)

// putStamp stores a stamp.
func putStamp(tx *bbolt.Tx, name []byte, stamp int64) error {
	b, err := tx.CreateBucketIfNotExists(stampBucket)
	if err != nil {
		return err
	}
	return b.Put(name, binary.BigEndian.AppendUint64(nil, uint64(stamp)))
}

// readStamp reads a stamp; 0 if there is none.
func readStamp(b *bbolt.Bucket, name []byte) (int64, error) {
	v := b.Get(name)
	if v == nil {
		return 0, nil
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("%s: the stamp %s has %d bytes", tableFile, name, len(v))
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

func newStamps(db *bbolt.DB, now func() time.Time) (*stamps, error) {
	s := &stamps{db: db, update: db.Update, now: now}
	err := db.View(func(tx *bbolt.Tx) (err error) {
		if b := tx.Bucket(stampBucket); b != nil {
			s.mark, err = readStamp(b, stampMark)
		}
		return err
	})
	s.last = s.mark
	return s, err
}

// lastStamp returns the last stamp that was handed out.
func (s *stamps) lastStamp() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// next returns a stamp: odd if lazy is true, else even. It is not before notBefore. If
// notBefore is seconds ahead of the clock, the stamps after it are so, too.
func (s *stamps) next(lazy bool, notBefore time.Time) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamp := max(s.now().UnixMicro(), s.last+1)
	if !notBefore.IsZero() {
		stamp = max(stamp, notBefore.UnixMicro())
	}
	if (stamp&1 == 1) != lazy {
		stamp++
	}
	if stamp > s.mark {
		if err := s.setMark(stamp + stampAhead); err != nil {
			return time.Time{}, err
		}
	}
	s.last = stamp
	return time.UnixMicro(stamp), nil
}

// save stores the last stamp as the mark, so the next process begins with the clock
// and not at the mark two seconds ahead.
func (s *stamps) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == s.mark {
		return nil
	}
	return s.setMark(s.last)
}

func (s *stamps) setMark(mark int64) error {
	err := s.update(func(tx *bbolt.Tx) error { return putStamp(tx, stampMark, mark) })
	if err = commitError(err); err != nil {
		return fmt.Errorf("storing the mark of the stamps: %w", err)
	}
	s.mark = mark
	return nil
}
