package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// State is a task's state. Clients see the numbers.
type State int

const (
	Idle      State = iota // waits for its locks
	Running                // has an attempt
	Succeeded              // its effect is committed
	Failed                 // it has ended without an effect
)

// Ended reports whether the task has ended.
func (s State) Ended() bool { return s == Succeeded || s == Failed }

// Task is a task's row. Its texts are bounded; see text.go.
type Task struct {
	ID        int64
	Kind      string      // "repo.import"; the class of work is before the dot
	Name      string      // for people
	Resources []string    // as clients see them; nil without any
	Locks     []lock.Want // held or waited for
	Args      json.RawMessage
	ArgsBlob  string // key of the object with large arguments; "" if they are inline
	Group     string // of its message
	Sync      bool   // a request waits for it and deletes it

	By     *By      `json:",omitempty"` // nil: the server itself, or an older version of it
	Record string   `json:",omitempty"` // name of the record of Spec.Record
	Needs  []string `json:",omitempty"` // permissions that the admission was decided on

	State   State
	Attempt int64           // number of the attempt that may write; only grows
	Seq     int64           // number of the write, by which an attempt recognises its own writes
	Owner   string          // process of the attempt; "" if its slice has ended
	Lease   time.Time       // end of the attempt's lease
	Cursor  json.RawMessage `json:",omitempty"` // checkpoint of the next attempt
	Receipt string          // of the message that was put back, to wake it
	Waits   int             // how often the message was put back
	Resends int             `json:",omitempty"` // messages sent again since the last attempt
	Resent  time.Time       `json:",omitzero"`  // when the last of them was sent

	// Budgets. A changed cursor resets both.
	Tries    int       // attempts in a row whose process died
	Failures int       `json:",omitempty"` // attempts in a row that ended with an error
	Failing  time.Time `json:",omitzero"`  // time of the first of these errors
	Error    string    // of a failed task, or of its last attempt

	Relocks   int      `json:",omitempty"` // how often it changed its locks
	Committed bool     `json:",omitempty"` // it can no longer fail
	Cancelled bool     `json:",omitempty"` // a client has cancelled it before its commit
	Undoing   bool     `json:",omitempty"` // it has failed with Code and Refusal, and its Undo is not done
	Refusal   string   `json:",omitempty"` // the error of its end, once its Undo is done
	Debts     []string `json:",omitempty"` // unpaid debts, by name
	Warnings  []string `json:",omitempty"`

	// Unfinished says that the task has succeeded by its commit and left debts.
	Unfinished bool `json:",omitempty"`

	Entry  string `json:",omitempty"` // the calendar entry for which it was admitted
	Undo   bool   `json:",omitempty"` // it runs the Undo of the task Origin
	Origin int64  `json:",omitempty"` // the task whose debt it pays

	Output      string          // inline, after OutputBlobs
	OutputBlobs []string        `json:",omitempty"` // keys of the objects with earlier output
	OutputSize  int             `json:",omitempty"` // bytes in OutputBlobs
	Live        string          // end of the output since the last Save
	Detail      json.RawMessage `json:",omitempty"` // progress, as the operation defines it
	Phase       string          `json:",omitempty"` // part of the work that a running task has come to
	Code        int             // HTTP status of the result
	Value       json.RawMessage `json:",omitempty"` // result; nil without one
	ValueBlob   string          // key of the object with a large result
	NoValue     bool            // the answer has no body

	// Requests counts the attempts' driver requests by kind, up to the write of
	// this row.
	Requests map[string]int64 `json:",omitempty"`

	Created, Started, Finished time.Time
}

// By is the principal of a task. Package auth describes its fields.
type By struct {
	Kind  string
	ID    string `json:",omitempty"`
	Name  string `json:",omitempty"`
	Owner string `json:",omitempty"`
	Key   string `json:",omitempty"` // of the row of the principal
}

// stops reports whether the task ends at its next write because a client has
// cancelled it. Committed tasks and Undos continue.
func (t Task) stops() bool { return t.Cancelled && !t.Committed && !t.Undoing }

// Key returns the key of a task's row.
func Key(id int64) driver.Key {
	return driver.Key{Part: "task", Sort: fmt.Sprintf("%016d", id)}
}

// Errors of the package.
var (
	// ErrUnknown says that no task has the number.
	ErrUnknown = errors.New("unknown task")
	// ErrNotEnded says that the task has not ended, so it cannot be deleted.
	ErrNotEnded = errors.New("task has not ended")
	// ErrEnded says that the task has ended, so it cannot be cancelled.
	ErrEnded = errors.New("task has ended")
	// ErrCommitted says that the task has committed, so it cannot be cancelled.
	ErrCommitted = errors.New("task has committed its changes")
	// ErrCancelled is the error of a write of a cancelled task.
	ErrCancelled = errors.New("cancelled")
	// ErrLost says that another attempt has overtaken this one, whose writes have
	// no effect any more.
	ErrLost        = errors.New("task was taken over by another attempt")
	errNoPrincipal = errors.New("every task of a closed server has one")
	// ErrContinue is returned by a run that has saved its cursor at the end of its
	// slice. The task continues in another delivery.
	ErrContinue = errors.New("task goes on in the next slice")
)

// Later returns an ErrContinue with a delay, for a task that waits for something
// other than its locks. The task must have saved its cursor.
func Later(after time.Duration) error { return &later{after} }

type later struct{ after time.Duration }

func (l *later) Error() string        { return fmt.Sprintf("task goes on in %v", l.after) }
func (l *later) Is(target error) bool { return target == ErrContinue }

// Error is a permanent failure of the operation. The task ends with it unless it
// has committed. Any other error ends the attempt only.
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

// Spec describes a task to admit: the result of an operation's early check.
type Spec struct {
	Kind      string
	Name      string
	Resources []string    // for clients
	Locks     []lock.Want // at least one; the group is that of the first exclusive one
	Args      any         // as JSON: names and parameters, no loaded data
	By        *By         // nil for the server itself
	Needs     []string    // permissions that the admission was decided on; at most MaxNeeds

	// Record, if not nil, returns a further operation of the admission's transaction,
	// and the name of the stored record. done gets the transaction's result.
	Record func(id int64) (name string, op driver.Op, done func(error))
}

// Relock is returned by a run that needs other locks. The task releases its locks
// and goes to the end of the queues of Locks.
type Relock struct {
	Locks     []lock.Want
	Resources []string
}

func (r *Relock) Error() string { return "task needs other resources" }

// Result is the result of a successful task.
type Result struct {
	Code    int  // HTTP status; 0 means 200
	Value   any  // as JSON
	NoValue bool // the answer has no body
}
