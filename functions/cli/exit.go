package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"aptless/core/client"
)

// Exit codes. Under the name aptly all but codeUsage and codeInterrupted are 1.
const (
	codeFailed      = 1 // refused or failed
	codeUsage       = 2
	codeMissing     = 3 // there is nothing of that name
	codeDenied      = 4 // not signed in, or not allowed
	codeConflict    = 5 // exists already, in use, or changed since
	codeUnreachable = 6 // no answer; the outcome may be open
	codeTimeout     = 7 // --timeout is over; the task goes on
	codeInterrupted = 130
)

// ExitCode is an exit code and its meaning.
type ExitCode struct {
	Code    int
	Meaning string
}

// ExitCodes returns the exit codes in order.
func ExitCodes() []ExitCode {
	return []ExitCode{
		{0, "done; an empty list, too"},
		{codeFailed, "refused or failed; a search has found nothing; a check has found a fault"},
		{codeUsage, "wrong use"},
		{codeMissing, "there is nothing of that name"},
		{codeDenied, "not signed in, or not allowed"},
		{codeConflict, "conflict: exists already, in use, or changed since the preview"},
		{codeUnreachable, "no answer of the server; the message says how to find out the outcome"},
		{codeTimeout, "the time of --timeout is over; the task goes on"},
		{codeInterrupted, "interrupted; the message says whether a task goes on"},
	}
}

// usage is a wrong use of the command line.
type usage struct{ text string }

func (u *usage) Error() string { return u.text }

func usagef(format string, args ...any) error { return &usage{fmt.Sprintf(format, args...)} }

// silent is the end of a command that has said all.
type silent struct{ code int }

func (s *silent) Error() string { return fmt.Sprintf("exit code %d", s.code) }

// texts of refusals that are conflicts, though their status does not say so: aptly
// answers 400 and 500 to them.
var conflicts = regexp.MustCompile(`already exists|is in use|is used|used as source|is published|conflict in package|has been changed|prefix/distribution already used`)

// missing are texts of refusals of a name that is not there.
var missing = regexp.MustCompile(`not found|no such|doesn't exist|unknown (repo|mirror|snapshot)`)

// codeOf returns the exit code for an error.
func codeOf(err error) int {
	var wrong *usage
	var ended *silent
	var refused *client.Refusal
	var waiting *client.ErrWaiting
	var gone *client.Unreachable
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		return codeUsage
	case errors.As(err, &ended):
		return ended.code
	case errors.Is(err, context.Canceled):
		return codeInterrupted
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &waiting):
		return codeTimeout
	case errors.As(err, &gone):
		return codeUnreachable
	case errors.As(err, &refused):
		return codeOfRefusal(refused)
	}
	return codeFailed
}

func codeOfRefusal(r *client.Refusal) int {
	switch {
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		return codeDenied
	case r.Status == http.StatusConflict || r.Status == http.StatusPreconditionFailed || conflicts.MatchString(r.Text):
		return codeConflict
	case r.Status == http.StatusNotFound || r.Status >= http.StatusInternalServerError && missing.MatchString(r.Text):
		return codeMissing
	case r.Status == http.StatusBadGateway || r.Status == http.StatusServiceUnavailable || r.Status == http.StatusGatewayTimeout:
		return codeUnreachable
	}
	return codeFailed
}

// aptlyCode returns the exit code under the name aptly.
func aptlyCode(code int) int {
	if code == 0 || code == codeUsage || code == codeInterrupted {
		return code
	}
	return codeFailed
}
