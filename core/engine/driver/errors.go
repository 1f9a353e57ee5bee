package driver

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels. A call that returns one has changed nothing.
var (
	// ErrNotFound reports that the object or row does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists reports that IfAbsent was set and the object exists.
	ErrExists = errors.New("already exists")
	// ErrConflict reports that a condition failed because another writer came
	// first. A *ConflictError in the chain names the rows.
	ErrConflict = errors.New("changed by another writer")
	// ErrDigest reports that the received bytes do not have the announced digest
	// or size.
	ErrDigest = errors.New("content does not match its digest")
	// ErrInvalid reports that a key, a name or a size violates the port's limits.
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
