package driver

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// Table stores small versioned rows.
//
// Reads are consistent and writes are serialisable. All calls of all processes
// behave as if they had run one by one, in an order that agrees with real time.
// Write and Put make durable the lazy changes of objects that returned before them;
// see Lazily.
type Table interface {
	// Get reads one row. ErrNotFound if there is none.
	Get(ctx context.Context, key Key) (Row, error)

	// Scan yields the rows of a partition whose Sort is greater than after, in
	// ascending byte order of Sort. Each row is current when it is read; the scan
	// as a whole is not a snapshot. Example: a scan may miss row "a", which was
	// written after the scan passed it, and still see row "b" written after "a".
	// Each range over the result starts a new scan, which ends at an error.
	Scan(ctx context.Context, part, after string) iter.Seq2[Row, error]

	// Write applies 1 to MaxOps operations, each on another key: all or none. If a
	// condition fails, nothing changes and the error is a *ConflictError. It names
	// every key whose condition failed, as far as the store reports them. All rows
	// put get the returned version.
	Write(ctx context.Context, ops ...Op) (version string, err error)

	// Put stores rows without conditions. Each row is stored whole or not at all,
	// but an error may leave any subset stored. It is for rows named by their
	// content. Row.Version is ignored. ErrInvalid: two rows have the same key.
	Put(ctx context.Context, rows ...Row) error

	// Add adds delta to the counter under key and returns the sum. A counter starts
	// at 0. Calls with a positive delta never return the same number twice.
	// Counters and rows have separate key spaces.
	Add(ctx context.Context, key Key, delta int64) (int64, error)
}

// Key names a row: a partition, and the row's place in the order of the partition.
type Key struct {
	Part string // 1 to 200 bytes
	Sort string // 1 to 900 bytes
}

func (k Key) String() string { return k.Part + "/" + k.Sort }

// Compare orders keys by part, then by sort key.
func (k Key) Compare(other Key) int {
	return cmp.Or(strings.Compare(k.Part, other.Part), strings.Compare(k.Sort, other.Sort))
}

// Check returns ErrInvalid unless every driver can store a row under k.
func (k Key) Check() error {
	if k.Part == "" || len(k.Part) > 200 || k.Sort == "" || len(k.Sort) > 900 ||
		!utf8.ValidString(k.Part) || !utf8.ValidString(k.Sort) {
		return fmt.Errorf("row key %.100q: %w", k.String(), ErrInvalid)
	}
	return nil
}

// Row is a row as stored.
type Row struct {
	Key
	Version string // opaque, not empty; never repeats for a key, even after a Delete
	Data    []byte
}

// Op is one operation of a Write.
type Op struct {
	Do   Verb
	Key  Key
	If   string // version that the row must have; Absent: no such row
	Data []byte // for OpPut
}

// Verb is the kind of an Op.
type Verb int

const (
	OpPut    Verb = iota // store Data
	OpDelete             // remove the row
	OpCheck              // only require the condition
)

// Absent as an Op's condition requires that the row does not exist. It is invalid
// for OpDelete.
const Absent = ""

// Limits of the Table port.
const (
	MaxOps     = 100       // operations of a Write
	MaxRowSize = 340 << 10 // bytes of a row's Data
	MaxTxSize  = 3 << 20   // bytes of Data in a Write
)

// CheckOps returns ErrInvalid unless Write accepts ops.
func CheckOps(ops []Op) error {
	if len(ops) == 0 || len(ops) > MaxOps {
		return fmt.Errorf("write of %d operations: %w", len(ops), ErrInvalid)
	}
	size, seen := 0, make(map[Key]bool, len(ops))
	for _, op := range ops {
		if err := checkRow(op.Key, op.Data, seen); err != nil {
			return err
		}
		if op.Do < OpPut || op.Do > OpCheck || op.Do == OpDelete && op.If == Absent {
			return fmt.Errorf("write of %.100q: operation %d: %w", op.Key.String(), op.Do, ErrInvalid)
		}
		size += len(op.Data)
	}
	if size > MaxTxSize {
		return fmt.Errorf("write of %d bytes: %w", size, ErrInvalid)
	}
	return nil
}

// CheckRows returns ErrInvalid unless Put accepts rows.
func CheckRows(rows []Row) error {
	seen := make(map[Key]bool, len(rows))
	for _, row := range rows {
		if err := checkRow(row.Key, row.Data, seen); err != nil {
			return err
		}
	}
	return nil
}

// checkRow checks one row, and that its key is not in seen.
func checkRow(k Key, data []byte, seen map[Key]bool) error {
	if err := k.Check(); err != nil {
		return err
	}
	if len(data) > MaxRowSize {
		return fmt.Errorf("row %.100q of %d bytes: %w", k.String(), len(data), ErrInvalid)
	}
	if seen[k] {
		return fmt.Errorf("row %.100q twice: %w", k.String(), ErrInvalid)
	}
	seen[k] = true
	return nil
}

// ConflictError names the rows whose condition failed. It matches ErrConflict.
type ConflictError struct {
	Keys []Key // in the order of the refused Write's operations
}

func (e *ConflictError) Error() string {
	names := make([]string, len(e.Keys))
	for i, k := range e.Keys {
		names[i] = k.String()
	}
	return fmt.Sprintf("%v: %s", ErrConflict, strings.Join(names, ", "))
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }
