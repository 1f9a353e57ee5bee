package driver

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels. Each promises that the call it is returned by changed nothing.
var (
	// ErrNotFound says that the object or row does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists says that IfAbsent was asked for and the object exists.
	ErrExists = errors.New("already exists")
	// ErrConflict says that a condition did not hold: another writer was
	// first. A *ConflictError in the chain names the rows.
	ErrConflict = errors.New("changed by another writer")
	// ErrDigest says that the bytes received do not have the digest or the
	// size that was announced.
	ErrDigest = errors.New("content does not match its digest")
	// ErrInvalid says that a key, a name or a size is outside what the port allows.
	ErrInvalid = errors.New("invalid argument")
)

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
