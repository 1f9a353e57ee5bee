package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// State is a task's state; the numbers are what clients see.
type State int

const (
	Idle      State = iota // waits for its turn
	Running                // an attempt has begun
	Succeeded              // its effect is committed
	Failed                 // it has ended without
)

// Ended says whether the task has ended.
func (s State) Ended() bool { return s == Succeeded || s == Failed }

// Task is a task's row.
type Task struct {
	ID        int64
	Kind      string      // "repo.import"; before the dot is the class of work
	Name      string      // for people
	Resources []string    // as clients see them; nil if none
	Locks     []lock.Want // what it holds or waits for
	Args      json.RawMessage
	ArgsBlob  string // key of the object that has them when they are large
	Group     string // of its message
	Sync      bool   // a request waits for it and will delete it

	State   State
	Attempt int64           // token of the attempt that may write; only grows
	Seq     int64           // of the attempts' writes, to know one's own again
	Tries   int             // attempts since the cursor last moved
	Waits   int             // times that the message was put back
	Lease   time.Time       // until when the attempt is taken to be alive
	Cursor  json.RawMessage `json:",omitempty"` // where the next attempt goes on
	Receipt string          // of the message that was put back, to wake it

	Output     string          // up to the last Save
	OutputBlob string          // key of the object that has it when it is large
	Live       string          // what the running attempt has put out since
	Detail     json.RawMessage `json:",omitempty"` // progress, as the operation defines it
	Code       int             // HTTP status of the result
	Value      json.RawMessage `json:",omitempty"` // result; nil if there is none
	ValueBlob  string          // key of the object with the result
	NoValue    bool            // the operation returns nothing at all
	Error      string          // of a failed task, or of the last attempt

	// Requests are those that its attempts have made of drivers, by kind, before
	// the write that this row is of.
	Requests map[string]int64 `json:",omitempty"`

	Created, Started, Finished time.Time
}

// Key returns the key of a task's row.
func Key(id int64) driver.Key {
	return driver.Key{Part: "task", Sort: fmt.Sprintf("%016d", id)}
}

// Errors of the package.
var (
	// ErrUnknown says that there is no task of that number.
	ErrUnknown = errors.New("unknown task")
	// ErrNotEnded says that a task has not ended and cannot be deleted.
	ErrNotEnded = errors.New("task has not ended")
	// ErrLost says that another attempt has taken the task over: nothing that
	// this one does is written any more.
	ErrLost = errors.New("task was taken over by another attempt")
	// ErrContinue is returned by a Run whose slice is over: it has saved its
	// cursor, and the task goes on in another delivery.
	ErrContinue = errors.New("task goes on in the next slice")
)

// Error is a failure of the operation itself, which would fail in the same way
// again: the task ends with it. Any other error ends the attempt only.
type Error struct {
	Code int // HTTP status
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Fail returns an Error with an HTTP status and a formatted text.
func Fail(code int, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// Relock is returned by a Run that finds it needs other resources than those it
// was admitted with: what it had is given back and the task goes to the end of
// the queues of Locks.
type Relock struct {
	Locks     []lock.Want
	Resources []string
}

func (r *Relock) Error() string { return "task needs other resources" }

// Result is what a task that succeeds answers.
type Result struct {
	Code    int  // HTTP status; 0 means 200
	Value   any  // as JSON
	NoValue bool // nothing is returned, not even a status
}
