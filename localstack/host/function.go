package host

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Function is a Lambda function: a program and its settings.
type Function struct {
	Program string        // path of the executable
	Env     []string      // "NAME=value"
	Timeout time.Duration // of a call, including the start of its process
	Log     io.Writer     // receives the output of the processes; may be nil

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
	s, err := start(f.Program, f.Env, log)
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
// is none.
func (f *Function) Kill(random *rand.Rand) bool {
	f.mu.Lock()
	var busy []*sandbox
	for _, s := range f.all {
		if s.busy() {
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
		if s.busy() {
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
