package driver

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"
)

// Queue delivers messages. Receiving is not part of the port: each driver calls
// its Handler in its own way.
//
// Messages of one group are delivered in the order of sending, one at a time. The
// next message is delivered only after the handler acknowledged the previous one.
// Messages of different groups are delivered concurrently. Delivery is at least
// once: if a handler fails or dies, its message is delivered again, before the
// messages after it in the group.
type Queue interface {
	// Send appends a message to its group. The driver may drop a message whose ID
	// was sent in the last five minutes.
	Send(ctx context.Context, m Message) error

	// Wake hints that a message which a handler put back (Outcome.Retry) may be
	// worth delivering now. m.Receipt is the receipt of that delivery. If the hint
	// is lost, the message comes when its delay ends. If the message was delivered
	// again meanwhile, Wake has no effect; a driver may then return ErrNotFound.
	Wake(ctx context.Context, m Message) error
}

// Message is a small message: it carries names, not state.
type Message struct {
	Group   string // 1 to 128 bytes of letters, digits and punctuation (ASCII)
	ID      string // for deduplication; same characters and length as Group
	Body    string // valid UTF-8, 1 to MaxBody bytes
	Receipt string // of this delivery; set by the driver
}

// MaxBody is the maximum length of a message's body, in bytes.
const MaxBody = 4 << 10

// Check returns ErrInvalid unless every driver can send m.
func (m Message) Check() error {
	if !queueName(m.Group) || !queueName(m.ID) ||
		m.Body == "" || len(m.Body) > MaxBody || !utf8.ValidString(m.Body) {
		return fmt.Errorf("message %.100q of group %.100q: %w", m.ID, m.Group, ErrInvalid)
	}
	return nil
}

// queueName reports whether s is valid as an SQS message group ID and deduplication
// ID: printable ASCII without the space.
func queueName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// Handler handles one delivery. After an error or a crash the message is delivered
// again: after Outcome.Retry, or after FailedPause if Retry is 0. A driver reports
// the error and adds no back-off of its own.
type Handler func(ctx context.Context, m Message) (Outcome, error)

// FailedPause is the delay before the next delivery of a message whose handler
// failed without a Retry, or died.
const FailedPause = 250 * time.Millisecond

// Outcome says how the driver treats the message after a delivery.
type Outcome struct {
	// Retry puts the message back at the head of its group, invisible for this
	// long. 0 acknowledges the message.
	Retry time.Duration

	// Recheck is called after the message was put back; if it returns true, the
	// message becomes visible at once. It closes a race: a Wake that arrives while
	// the handler runs finds no message to wake and is lost. Recheck sees the
	// state that caused that Wake. Nil means false.
	Recheck func(ctx context.Context) bool
}

// Again returns the delay before the next delivery, given that the handler returned
// o and err. It returns false if the message is acknowledged.
func (o Outcome) Again(err error) (time.Duration, bool) {
	if err != nil && o.Retry <= 0 {
		return FailedPause, true
	}
	return o.Retry, o.Retry > 0
}
