package named

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// MaxName bounds a name, in bytes.
const MaxName = 800

// Rows reads and changes the things of one partition. T is the stored thing.
type Rows[T any] struct {
	Table driver.Table
	Part  string // the partition, and the first word of locks and references: "repo"
	Noun  string // in errors that clients see: "local repo"
	Title string // in the refusal of a name: "repository"

	// Fields returns pointers to a thing's UUID and name.
	Fields func(*T) (uuid, name *string)
}

// Getter reads a row into v. Rows.Get reads outside of transactions,
// task.Attempt.GetJSON within a task's transaction. The error is
// driver.ErrNotFound if there is no row.
type Getter func(ctx context.Context, key driver.Key, v any) error

// Tx is the transaction of a task. *task.Attempt is one.
type Tx interface {
	Get(ctx context.Context, key driver.Key) ([]byte, error)
	GetJSON(ctx context.Context, key driver.Key, v any) error
	Put(key driver.Key, data []byte)
	Drop(key driver.Key)
}

// NotFound says that no thing has the name. It matches driver.ErrNotFound.
type NotFound struct{ Noun, Name string }

func (e *NotFound) Error() string { return fmt.Sprintf("%s with name %s not found", e.Noun, e.Name) }

// Is makes the error match driver.ErrNotFound.
func (e *NotFound) Is(target error) bool { return target == driver.ErrNotFound }

// Missing returns the error of a name that no thing has.
func (r Rows[T]) Missing(name string) error { return &NotFound{r.Noun, name} }

// Taken says that another thing has the name.
type Taken struct{ Noun, Name string }

func (e *Taken) Error() string {
	return fmt.Sprintf("%s with name %s already exists", e.Noun, e.Name)
}

// TooLarge says that a thing exceeds a row. Size is the length of its JSON, in
// bytes.
type TooLarge struct {
	Noun, Name string
	Size       int
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("%s %s is too large: %d bytes without its packages", e.Noun, e.Name, e.Size)
}

// Refuse turns an error of type E into the failure of a request, with an HTTP
// status and a format with one %w. Other errors pass unchanged. Example:
// Refuse[*NotFound](err, 404, "unable to drop: %w").
func Refuse[E error](err error, code int, format string) error {
	if refusal := *new(E); errors.As(err, &refusal) {
		return task.Fail(code, format, refusal)
	}
	return err
}

// NewUUID returns a random UUID, version 4 (RFC 9562).
func NewUUID() string {
	var b [16]byte
	io.ReadFull(rand.Reader, b[:])
	return format(b, 4)
}

// UUIDOf derives a UUID from a name, version 8 (RFC 9562).
func UUIDOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return format([16]byte(sum[:16]), 8)
}

func format(b [16]byte, version byte) string {
	b[6], b[8] = b[6]&0x0f|version<<4, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Key returns the key of a thing's row.
func (r Rows[T]) Key(uuid string) driver.Key { return driver.Key{Part: r.Part, Sort: uuid} }

// NameKey returns the key of the row of a name.
func (r Rows[T]) NameKey(name string) driver.Key {
	return driver.Key{Part: r.Part + "-name", Sort: name}
}

// RefKey returns the key of the row by which by, such as "snapshot/<uuid>",
// refers to a thing.
func RefKey(part, uuid, by string) driver.Key {
	return driver.Key{Part: "ref/" + part + "/" + uuid, Sort: by}
}

// Lock returns the lock of a thing.
func (r Rows[T]) Lock(uuid string, mode lock.Mode) lock.Want {
	return lock.Want{Resource: r.Part + "/" + uuid, Mode: mode}
}

// NameLock returns the lock of a name. Tasks that want one name run in the order
// of admission.
func (r Rows[T]) NameLock(name string) lock.Want {
	return lock.Want{Resource: r.Part + "-name/" + name}
}

// CheckName refuses an invalid name with the status 400.
func (r Rows[T]) CheckName(name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return task.Fail(400, "invalid %s name %.100q: 1 to %d bytes of UTF-8", r.Title, name, MaxName)
	}
	return nil
}

// Get reads a row into v, outside of any transaction. It is a Getter.
func (r Rows[T]) Get(ctx context.Context, key driver.Key, v any) error {
	row, err := r.Table.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(row.Data, v); err != nil {
		return fmt.Errorf("row %s: %w", key, err)
	}
	return nil
}

// ByName reads the thing with a name. The error is *NotFound if there is none.
func (r Rows[T]) ByName(ctx context.Context, name string) (T, error) {
	v, _, err := r.byName(ctx, name)
	return v, err
}

// byName reads the thing with a name, and the version of its row.
func (r Rows[T]) byName(ctx context.Context, name string) (v T, version string, err error) {
	missing := &NotFound{r.Noun, name}
	if r.NameKey(name).Check() != nil {
		return v, "", missing
	}
	row, err := r.Table.Get(ctx, r.NameKey(name))
	if err == nil {
		row, err = r.Table.Get(ctx, r.Key(string(row.Data)))
	}
	if errors.Is(err, driver.ErrNotFound) {
		return v, "", missing
	}
	if err != nil {
		return v, "", err
	}
	v, err = r.decode(row)
	return v, row.Version, err
}

// ByUUID reads a thing with get. The error *NotFound contains the name.
func (r Rows[T]) ByUUID(ctx context.Context, get Getter, uuid, name string) (T, error) {
	var v T
	err := get(ctx, r.Key(uuid), &v)
	if errors.Is(err, driver.ErrNotFound) {
		err = &NotFound{r.Noun, name}
	}
	return v, err
}

// All returns all things, ascending by UUID.
func (r Rows[T]) All(ctx context.Context) ([]T, error) {
	all := []T{}
	for row, err := range r.Table.Scan(ctx, r.Part, "") {
		if err != nil {
			return nil, err
		}
		v, err := r.decode(row)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// After yields the things whose name is above after, ascending by name. It reads a page
// of names and one row for each thing that the caller takes.
func (r Rows[T]) After(ctx context.Context, after string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range r.Table.Scan(ctx, r.Part+"-name", after) {
			var v T
			if err == nil {
				err = r.Get(ctx, r.Key(string(row.Data)), &v)
			}
			if errors.Is(err, driver.ErrNotFound) {
				continue // it was dropped after the read of its name
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func (r Rows[T]) decode(row driver.Row) (v T, err error) {
	if err = json.Unmarshal(row.Data, &v); err != nil {
		err = fmt.Errorf("%s %s: %w", r.Title, row.Sort, err)
	}
	return v, err
}

func (r Rows[T]) encode(v *T) ([]byte, error) {
	data, err := json.Marshal(v)
	if err == nil && len(data) > driver.MaxRowSize {
		_, name := r.Fields(v)
		err = &TooLarge{r.Title, *name, len(data)}
	}
	return data, err
}

// Free returns *Taken if a thing has the name.
func (r Rows[T]) Free(ctx context.Context, name string) error {
	_, err := r.ByName(ctx, name)
	switch {
	case err == nil:
		return &Taken{r.Noun, name}
	case errors.Is(err, driver.ErrNotFound):
		return nil
	}
	return err
}

// Referrer returns the first name that refers to the thing, or "". Publications
// come before snapshots, since names ascend.
func (r Rows[T]) Referrer(ctx context.Context, uuid string) (string, error) {
	for row, err := range r.Table.Scan(ctx, RefKey(r.Part, uuid, "").Part, "") {
		return row.Sort, err
	}
	return "", nil
}
