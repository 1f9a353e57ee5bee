package oidc

import (
	"errors"
	"fmt"
)

// Invalid says why a text is no valid ID token. The reason is for the audit record and
// not for the sender.
type Invalid struct{ Reason string }

func (e *Invalid) Error() string { return "the ID token is not valid: " + e.Reason }

func invalid(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// ErrKeys says that the keys of an issuer cannot be read.
var ErrKeys = errors.New("keys of the issuer cannot be read")
