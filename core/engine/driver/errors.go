package driver

import (
	"errors"
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
