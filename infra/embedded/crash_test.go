package embedded

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

const (
	crashKills   = 30
	crashWorkers = 4
	crashKeys    = 3 // objects that a worker puts; each may have a copy

	// A child is killed within crashLate microseconds after step number n. n is at least
	// crashWorkers, and less than crashWorkers + crashSteps.
	crashSteps = 60
	crashLate  = 10_000
)

// crashBytes returns the bytes that step n of a worker stores: a line with the worker
// and the step, and repetitions of that line. They are at most about 48 KiB.
func crashBytes(worker, n int) []byte {
	name := fmt.Sprintf("%d %d\n", worker, n)
	return append([]byte(name), bytes.Repeat([]byte(name), (n*7919)%6000)...)
}

// crashStep returns the worker and the step of bytes. Bytes that are not whole are an
// error.
func crashStep(b []byte) (worker, n int, err error) {
	name, _, _ := strings.Cut(string(b), "\n")
	if _, err := fmt.Sscanf(name, "%d %d", &worker, &n); err != nil {
		return 0, 0, fmt.Errorf("%.20q: %w", b, err)
	}
	if !bytes.Equal(b, crashBytes(worker, n)) {
		return 0, 0, fmt.Errorf("%d bytes that begin with %q are not whole", len(b), name)
	}
	return worker, n, nil
}

func crashObject(worker, n int) string {
	return fmt.Sprintf("private/crash/%d/folder-%d/object", worker, n%crashKeys)
}

func crashCopy(worker, n int) string {
	return fmt.Sprintf("public/crash/%d/copy-%d", worker, n%crashKeys)
}

func crashRow(worker int, half string) driver.Key {
	return driver.Key{Part: "crash-" + half, Sort: strconv.Itoa(worker)}
}

var crashCounter = driver.Key{Part: "crash", Sort: "steps"}

// crashChild writes until it is killed. After each step, a worker writes a line to the
// standard output: its number, the step, the sum of the counter and the object's ETag.
func crashChild(dir, round string) {
	base, err := strconv.Atoi(round)
	if err != nil {
		panic(err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		panic(err)
	}
	for worker := range crashWorkers {
		go func() {
			for n := base; ; n++ {
				sum, etag, err := crashDo(s, worker, n)
				if err != nil {
					panic(err)
				}
				fmt.Printf("%d %d %d %s\n", worker, n, sum, etag)
			}
		}()
	}
	select {}
}

// crashDo does a step. It puts, copies or deletes an object, and half of the workers do
// so lazily. Then it writes two rows in one transaction, and adds 1 to the counter.
func crashDo(s *Store, worker, n int) (sum int64, etag string, err error) {
	ctx := context.Background()
	if worker%2 == 1 {
		ctx = driver.Lazily(ctx)
	}
	var i driver.Info
	switch key := crashObject(worker, n); n % 5 {
	case 4:
		err = s.Blobs.Delete(ctx, key)
	case 3:
		i, err = s.Blobs.Copy(ctx, crashCopy(worker, n), key, driver.PutOptions{})
		if errors.Is(err, driver.ErrNotFound) {
			err = nil
		}
	default:
		i, err = s.Blobs.Put(ctx, key, bytes.NewReader(crashBytes(worker, n)), driver.PutOptions{})
	}
	if err != nil {
		return 0, "", err
	}
	var ops []driver.Op
	for _, half := range []string{"left", "right"} {
		op := driver.Op{Key: crashRow(worker, half), Data: crashBytes(worker, n)}
		if row, err := s.Table.Get(ctx, op.Key); err == nil {
			op.If = row.Version
		} else if !errors.Is(err, driver.ErrNotFound) {
			return 0, "", err
		}
		ops = append(ops, op)
	}
	if _, err := s.Table.Write(ctx, ops...); err != nil {
		return 0, "", err
	}
	sum, err = s.Table.Add(ctx, crashCounter, 1)
	return sum, i.ETag, err
}

// crashWorker is the state of a worker, as the parent knows it.
type crashWorker struct {
	step    int               // the last acknowledged step
	objects map[string]int    // from the key to the step of the bytes
	etags   map[string]string // from the key and the ETag to the step of the bytes
}

// do applies an acknowledged step to the state.
func (w *crashWorker) do(worker, n int, etag string) error {
	w.step = n
	key, from := crashObject(worker, n), n
	switch n % 5 {
	case 4:
		delete(w.objects, key)
		return nil
	case 3:
		was, ok := w.objects[key]
		if !ok {
			return nil
		}
		key, from = crashCopy(worker, n), was
	}
	w.objects[key] = from
	return w.knows(key, etag, from)
}

// knows notes the ETag of an object with the bytes of a step. The ETag of other bytes
// is an error.
func (w *crashWorker) knows(key, etag string, step int) error {
	name := key + " " + etag
	if was, ok := w.etags[name]; ok && was != strconv.Itoa(step) {
		return fmt.Errorf("%s with the bytes of step %d has the ETag %s, as with those of step %s", key, step, etag, was)
	}
	w.etags[name] = strconv.Itoa(step)
	return nil
}

// TestCrash kills a writing process, again and again. All acknowledged steps are there,
// and every object and row is whole.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	workers := make([]*crashWorker, crashWorkers)
	for i := range workers {
		workers[i] = &crashWorker{step: -1, objects: map[string]int{}, etags: map[string]string{}}
	}
	steps, most := 0, int64(0)
	for round := range crashKills {
		base := round * 1_000_000
		for _, line := range crashRun(t, dir, base) {
			var worker, n int
			var sum int64
			var etag string
			// A copy of a missing object has no ETag, and a deletion has none.
			if k, err := fmt.Sscanf(line, "%d %d %d %s", &worker, &n, &sum, &etag); k < 3 {
				t.Fatalf("%q: %v", line, err)
			}
			must(t, workers[worker].do(worker, n, etag))
			steps, most = steps+1, max(most, sum)
		}
		s, err := Open(dir, Options{})
		must(t, err)
		for i, w := range workers {
			crashCheckObjects(t, s, i, w, base)
			crashCheckRows(t, s, i, w, base)
		}
		sum, err := s.Table.Add(t.Context(), crashCounter, 0)
		must(t, err)
		if sum < most || sum > most+crashWorkers {
			t.Errorf("the counter is %d, and %d was acknowledged", sum, most)
		}
		if entries, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(entries) != 0 {
			t.Errorf("temporary files are %v, %v", entries, err)
		}
		must(t, s.Close())
		if t.Failed() {
			t.Fatalf("in round %d, after %d steps", round, steps)
		}
	}
	if steps < crashKills*crashWorkers {
		t.Errorf("only %d steps in %d rounds: too few for a result", steps, crashKills)
	}
	t.Logf("%d steps, %d kills", steps, crashKills)
}

// crashRun runs the child, and kills it a moment after one of its first lines. It returns
// all whole lines of the child, at least crashWorkers.
func crashRun(t *testing.T, dir string, base int) (lines []string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "EMBEDDED_CRASH="+dir, "EMBEDDED_CRASH_ROUND="+strconv.Itoa(base))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	last := crashWorkers + rand.IntN(crashSteps)
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait() // it was killed
	}()
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				t.Fatal(err)
			}
			return lines
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
		if len(lines) == last {
			time.AfterFunc(time.Duration(rand.IntN(crashLate))*time.Microsecond, func() { _ = child.Process.Kill() })
		}
	}
}

// crashCheckObjects compares a worker's objects with the state of the worker. The step
// after the last acknowledged one may be done, too.
func crashCheckObjects(t *testing.T, s *Store, worker int, w *crashWorker, base int) {
	t.Helper()
	next := max(w.step+1, base)
	found := map[string]int{}
	for _, place := range []string{"private", "public"} {
		for i, err := range s.Blobs.List(t.Context(), fmt.Sprintf("%s/crash/%d/", place, worker), "") {
			must(t, err)
			of, step, err := crashStep([]byte(read(t, s, i.Key)))
			if err != nil || of != worker {
				t.Errorf("%s has the bytes of worker %d, %v", i.Key, of, err)
				continue
			}
			if err := w.knows(i.Key, i.ETag, step); err != nil {
				t.Error(err)
			}
			found[i.Key] = step
		}
	}
	after := &crashWorker{objects: map[string]int{}, etags: map[string]string{}}
	for key, step := range w.objects {
		after.objects[key] = step
	}
	must(t, after.do(worker, next, "unknown"))
	for i := range crashKeys {
		for _, key := range []string{crashObject(worker, i), crashCopy(worker, i)} {
			got, is := found[key]
			want, was := w.objects[key]
			then, becomes := after.objects[key]
			if (got != want || is != was) && (got != then || is != becomes) {
				t.Errorf("%s has the bytes of step %d (%t), want %d (%t) or %d (%t)", key, got, is, want, was, then, becomes)
			}
		}
	}
	w.objects = found
}

// crashCheckRows compares a worker's rows with the state of the worker. The step after
// the last acknowledged one may be done, too.
func crashCheckRows(t *testing.T, s *Store, worker int, w *crashWorker, base int) {
	t.Helper()
	var steps []int
	for _, half := range []string{"left", "right"} {
		row, err := s.Table.Get(t.Context(), crashRow(worker, half))
		if errors.Is(err, driver.ErrNotFound) {
			steps = append(steps, -1)
			continue
		}
		must(t, err)
		_, step, err := crashStep(row.Data)
		must(t, err)
		steps = append(steps, step)
	}
	if next := max(w.step+1, base); steps[0] != steps[1] || steps[0] != w.step && steps[0] != next {
		t.Errorf("the rows of worker %d are of steps %v, want both of %d or %d", worker, steps, w.step, next)
	}
	w.step = steps[0]
}
