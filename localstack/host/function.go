package host

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Function is a Lambda function: a program and its settings.
type Function struct {
	Program string        // path of the executable
	Env     []string      // "NAME=value"
	Timeout time.Duration // of a call, including the start of its process
	Memory  int           // MB of a process at most; 0 is 1769
	Log     io.Writer     // receives the output of the processes; may be nil

	guard *guard // nil without rights

	peak atomic.Int64 // KiB of memory of the largest process
	mu   sync.Mutex
	all  []*sandbox
	idle []*sandbox // the most recently used one is last
}

// Invoke calls the function with an event and returns its answer. It also logs an error,
// because a gateway does not report it to its clients.
func (f *Function) Invoke(ctx context.Context, event []byte) (out []byte, err error) {
	defer func() {
		if err != nil && f.Log != nil {
			fmt.Fprintf(f.Log, "call of %s failed: %v\n", f.Program, err)
		}
	}()
	s, err := f.take()
	if err != nil {
		return nil, err
	}
	out, err = s.invoke(ctx, event, f.Timeout)
	used := s.memory()
	for was := f.peak.Load(); used > was && !f.peak.CompareAndSwap(was, used); was = f.peak.Load() {
	}
	if limit := int64(s.limit) << 10; used > limit {
		s.kill()
		out, err = nil, fmt.Errorf("%w: %d of %d KiB", ErrMemory, used, limit)
	}
	f.give(s)
	return out, err
}

// take returns an idle sandbox, or else a new one.
func (f *Function) take() (*sandbox, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.idle) > 0 {
		s := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if !s.dead() {
			return s, nil
		}
		f.forget(s)
	}
	log := f.Log
	if log == nil {
		log = io.Discard
	}
	s, err := start(f.Program, cmp.Or(f.Memory, 1769), f.Env, log)
	if err != nil {
		return nil, err
	}
	f.all = append(f.all, s)
	return s, nil
}

func (f *Function) give(s *sandbox) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.dead() {
		f.forget(s)
		return
	}
	f.idle = append(f.idle, s)
}

func (f *Function) forget(s *sandbox) {
	f.all = slices.DeleteFunc(f.all, func(o *sandbox) bool { return o == s })
}

// dead reports whether the process has ended.
func (s *sandbox) dead() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// Kill kills a random busy process, as if its machine had failed. It reports false if there
// is none. A worker that has not hidden its message yet is spared. Its message would come
// again only after the visibility timeout of the queue, 11 minutes.
func (f *Function) Kill(random *rand.Rand) bool {
	f.mu.Lock()
	var busy []*sandbox
	for _, s := range f.all {
		if receipt, is := s.busy(); is && (receipt == "" || f.guard == nil || f.guard.has(receipt)) {
			busy = append(busy, s)
		}
	}
	f.mu.Unlock()
	if len(busy) == 0 {
		return false
	}
	busy[random.IntN(len(busy))].kill()
	return true
}

// KillAll kills all busy processes and returns their number.
func (f *Function) KillAll() (killed int) {
	f.mu.Lock()
	all := slices.Clone(f.all)
	f.mu.Unlock()
	for _, s := range all {
		if _, is := s.busy(); is {
			s.kill()
			killed++
		}
	}
	return killed
}

// Close kills all processes.
func (f *Function) Close() {
	f.mu.Lock()
	all := slices.Clone(f.all)
	f.all, f.idle = nil, nil
	f.mu.Unlock()
	for _, s := range all {
		s.kill()
	}
}
