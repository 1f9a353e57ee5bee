package drivertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"

	"aptless/core/engine/driver"
)

// racers is the number of racing calls in a test of conditions.
const racers = 16

// race calls f concurrently and returns the indexes of the calls that succeeded. All
// others must have failed with the error lost.
func race(t *testing.T, lost error, f func(i int) error) (won []int) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, racers)
	start := make(chan struct{})
	for i := range errs {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			won = append(won, i)
		} else if !errors.Is(err, lost) {
			t.Errorf("call %d: %v, want nil or %v", i, err, lost)
		}
	}
	return won
}

// oneWinner fails the test unless exactly one call won and the object has its
// content.
func (s suite) oneWinner(t *testing.T, key string, won []int) {
	t.Helper()
	got, _ := s.read(t, key, nil)
	if len(won) != 1 || got != content(won[0]) {
		t.Errorf("calls %v won and the object has %.20q", won, got)
	}
}

// content is the content that racer i writes. Each has a different length.
func content(i int) string { return strings.Repeat(strconv.Itoa(i)+",", 1000+i) }

func testRaceIfAbsent(t *testing.T, s suite) {
	for round := range 4 {
		key := s.key(fmt.Sprintf("folder-%d/object", round))
		won := race(t, driver.ErrExists, func(i int) error {
			_, err := s.Blobs.Put(t.Context(), key, strings.NewReader(content(i)), driver.PutOptions{IfAbsent: true})
			return err
		})
		s.oneWinner(t, key, won)
	}
}

func testRaceIfMatch(t *testing.T, s suite) {
	key := s.key("object")
	for range 4 {
		etag := s.put(t, key, "before").ETag
		won := race(t, driver.ErrConflict, func(i int) error {
			_, err := s.Blobs.Put(t.Context(), key, strings.NewReader(content(i)), driver.PutOptions{IfMatch: etag})
			return err
		})
		s.oneWinner(t, key, won)
	}
}

// testRaceCopy races Put and Copy for one key.
func testRaceCopy(t *testing.T, s suite) {
	for i := range racers {
		s.put(t, s.key("src-"+strconv.Itoa(i)), content(i))
	}
	for round := range 4 {
		key := s.key(fmt.Sprintf("folder-%d/object", round))
		won := race(t, driver.ErrExists, func(i int) (err error) {
			if i%2 == 0 {
				_, err = s.Blobs.Put(t.Context(), key, strings.NewReader(content(i)), driver.PutOptions{IfAbsent: true})
			} else {
				_, err = s.Blobs.Copy(t.Context(), key, s.key("src-"+strconv.Itoa(i)), driver.PutOptions{IfAbsent: true})
			}
			return err
		})
		s.oneWinner(t, key, won)
	}
}

// testCountByIfMatch keeps a counter in an object. Each writer reads the count and
// writes the next one on condition that the ETag is unchanged.
func testCountByIfMatch(t *testing.T, s suite) {
	const writers, each = 4, 10
	key := s.key("count")
	s.put(t, key, "0")
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := s.countOne(t, key); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, _ := s.read(t, key, nil); got != strconv.Itoa(writers*each) {
		t.Errorf("counted %s, want %d", got, writers*each)
	}
}

func (s suite) countOne(t *testing.T, key string) error {
	for {
		r, info, err := s.Blobs.Open(t.Context(), key, nil)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		n, err := strconv.Atoi(string(b))
		if err != nil {
			return err
		}
		_, err = s.Blobs.Put(t.Context(), key, strings.NewReader(strconv.Itoa(n+1)), driver.PutOptions{IfMatch: info.ETag})
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
}

// testReplaceWhileRead reads an object, in halves and by ranges, while objects of
// other lengths replace it.
func testReplaceWhileRead(t *testing.T, s suite) {
	const versions = 30
	key := s.key("object")
	text := func(i int) string { return strings.Repeat(string(rune('A'+i)), 60_000+i*1000) }
	etags := make(map[string]int) // ETag → version; guarded by mu
	var mu sync.Mutex
	write := func(i int) {
		mu.Lock() // readers look up the ETag only after the Put has returned
		defer mu.Unlock()
		etags[s.put(t, key, text(i)).ETag] = i
	}
	write(0)
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)
	for reader := range 4 {
		wg.Go(func() {
			for turn := 0; ; turn++ {
				select {
				case <-done:
					if turn > 0 {
						return
					}
				default:
				}
				rng := driver.Range{Offset: 0, Length: -1}
				if reader%2 == 1 {
					rng = driver.Range{Offset: 59_990, Length: 20_000}
				}
				got, info, err := s.readSlowly(t, key, &rng)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				version, known := etags[info.ETag]
				mu.Unlock()
				want := text(version)
				off, n, err := rng.Bounds(int64(len(want)))
				if !known || err != nil || info.Size != int64(len(want)) || got != want[off:off+n] {
					t.Errorf("read %d bytes, %.3q to %.3q, with %+v", len(got), got, got[max(0, len(got)-3):], info)
					return
				}
			}
		})
	}
	for i := 1; i < versions && !t.Failed(); i++ {
		write(i)
	}
}

// readSlowly reads in two halves, with a Stat in between to pass time.
func (s suite) readSlowly(t *testing.T, key string, rng *driver.Range) (string, driver.Info, error) {
	r, info, err := s.Blobs.Open(t.Context(), key, rng)
	if err != nil {
		return "", info, err
	}
	defer r.Close()
	var b bytes.Buffer
	_, err = io.CopyN(&b, r, 5_000)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", info, err
	}
	if _, err := s.Blobs.Stat(t.Context(), key); err != nil {
		return "", info, err
	}
	_, err = b.ReadFrom(r)
	return b.String(), info, err
}

// testDeleteWhileRead deletes and replaces an object whose reader is open.
func testDeleteWhileRead(t *testing.T, s suite) {
	key := s.key("object")
	want := strings.Repeat("x", 3<<20)
	for name, meddle := range map[string]func(){
		"Delete": func() { must(t, s.Blobs.Delete(t.Context(), key)) },
		"Put":    func() { s.put(t, key, "short") },
	} {
		s.put(t, key, want)
		r, _, err := s.Blobs.Open(t.Context(), key, nil)
		must(t, err)
		head := make([]byte, 10)
		_, err = io.ReadFull(r, head)
		must(t, err)
		meddle()
		rest, err := io.ReadAll(r)
		must(t, errors.Join(err, r.Close()))
		if string(head)+string(rest) != want {
			t.Errorf("%s: read %d bytes, want %d", name, len(head)+len(rest), len(want))
		}
	}
}

// testSameFolder stores and deletes objects below one leading path concurrently, so
// that the folder appears and disappears.
func testSameFolder(t *testing.T, s suite) {
	const turns = 20
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for turn := range turns {
				key := s.key(fmt.Sprintf("folder/sub/%d", i))
				if _, err := s.Blobs.Put(t.Context(), key, strings.NewReader("x"), driver.PutOptions{IfAbsent: true}); err != nil {
					t.Errorf("turn %d: %v", turn, err)
				}
				if turn == turns-1 {
					return
				}
				if err := s.Blobs.Delete(t.Context(), key); err != nil {
					t.Errorf("turn %d: %v", turn, err)
				}
			}
		})
	}
	wg.Wait()
	sameKeys(t, s.Blobs.List(t.Context(), s.key(""), ""),
		[]string{s.key("folder/sub/0"), s.key("folder/sub/1"), s.key("folder/sub/2"), s.key("folder/sub/3")})
}
