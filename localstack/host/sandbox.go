package host

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxPayload is the largest event and answer, in bytes.
const maxPayload = 6 << 20

// Errors of calls.
var (
	// ErrTimeout means that the function exceeded its timeout.
	ErrTimeout = errors.New("task timed out")
	// ErrDied means that the process ended before its answer.
	ErrDied = errors.New("process exited before it answered")
	// ErrMemory means that the process had more memory than the function's settings allow.
	ErrMemory = errors.New("out of memory")
	// ErrFunction means that the function returned an error.
	ErrFunction = errors.New("function failed")
)

// call is one event of a sandbox.
type call struct {
	id       string
	payload  []byte
	deadline time.Time
	done     chan answer // buffered for its one answer
}

type answer struct {
	body []byte
	err  error
}

// sandbox is a process and its Runtime API.
type sandbox struct {
	limit  int // MB of memory
	cmd    *exec.Cmd
	server *http.Server
	next   chan *call
	exited chan struct{} // closed when the process has ended

	mu      sync.Mutex
	current *call
	waiting bool          // the process has requested its next call
	idle    chan struct{} // receives a token when waiting becomes true
}

// start starts the process with Lambda's variables and env.
func start(program string, memory int, env []string, log io.Writer) (*sandbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sandbox{limit: memory, next: make(chan *call), exited: make(chan struct{}), idle: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", s.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { s.serveAnswer(w, r, nil) })
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { s.serveAnswer(w, r, ErrFunction) })
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	s.cmd = exec.Command(program)
	s.cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=local", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		fmt.Sprint("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=", memory), "_HANDLER=bootstrap", "TZ=:UTC",
	}, env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		listener.Close()
		return nil, err
	}
	go s.server.Serve(listener)
	go func() {
		s.cmd.Wait()
		s.server.Close()
		close(s.exited)
	}()
	return s, nil
}

// serveNext answers the process's request for its next call.
func (s *sandbox) serveNext(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.waiting = true
	s.mu.Unlock()
	select {
	case s.idle <- struct{}{}:
	default:
	}
	select {
	case c := <-s.next:
		s.mu.Lock()
		s.current, s.waiting = c, false
		s.mu.Unlock()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", c.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:local")
		w.Write(c.payload)
	case <-r.Context().Done():
	}
}

// serveAnswer receives the answer of the current call. failure is set if it is an error.
func (s *sandbox) serveAnswer(w http.ResponseWriter, r *http.Request, failure error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err != nil {
		return
	}
	if len(body) > maxPayload {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	s.mu.Lock()
	c := s.current
	if c != nil && c.id == r.PathValue("id") {
		s.current = nil
	} else {
		c = nil
	}
	s.mu.Unlock()
	if c == nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	if failure != nil {
		failure = fmt.Errorf("%w: %s", failure, bytes.TrimSpace(body[:min(len(body), 2000)]))
	}
	c.done <- answer{body, failure}
}

// invoke runs a call. It stops the process once it has answered and requested its next call.
func (s *sandbox) invoke(ctx context.Context, payload []byte, timeout time.Duration) ([]byte, error) {
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("an event of %d bytes", len(payload))
	}
	c := &call{rand.Text(), payload, time.Now().Add(timeout), make(chan answer, 1)}
	s.cmd.Process.Signal(syscall.SIGCONT)
	over := time.NewTimer(timeout)
	defer over.Stop()
	select {
	case s.next <- c:
	case <-s.exited:
		return nil, ErrDied
	case <-over.C:
		s.kill()
		return nil, ErrTimeout
	}
	select {
	case <-s.idle: // the token of the request for this call
	default:
	}
	select {
	case a := <-c.done:
		s.freeze()
		return a.body, a.err
	case <-s.exited:
		return nil, ErrDied
	case <-over.C:
		s.kill()
		return nil, ErrTimeout
	case <-ctx.Done():
		s.kill()
		return nil, ctx.Err()
	}
}

// freezeWithin bounds the time until a process requests its next call.
const freezeWithin = 10 * time.Second

// freeze stops the process as soon as it requests its next call.
func (s *sandbox) freeze() {
	late := time.NewTimer(freezeWithin)
	defer late.Stop()
	select {
	case <-s.idle:
		s.cmd.Process.Signal(syscall.SIGSTOP)
	case <-s.exited:
	case <-late.C:
		s.kill()
	}
}

// busy reports whether the process is handling a call, and the receipt of its message.
func (s *sandbox) busy() (receipt string, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return "", false
	}
	var event struct {
		Records []struct{ ReceiptHandle string }
	}
	if err := json.Unmarshal(s.current.payload, &event); err == nil && len(event.Records) > 0 {
		receipt = event.Records[0].ReceiptHandle
	}
	return receipt, true
}

// memory returns the largest memory that the process has had, in KiB; 0 if it has ended.
func (s *sandbox) memory() int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), "\nVmHWM:")
	var kib int64
	fmt.Sscan(rest, &kib)
	return kib
}

// kill kills the process, also if it is stopped.
func (s *sandbox) kill() {
	s.cmd.Process.Kill()
	<-s.exited
}
