package driver

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"
)

// Queue delivers messages. Receiving is not part of the port: every driver
// calls its Handler in its own way.
//
// Messages of one group are delivered in the order of their sending, one at a
// time: the next one only when the handler has acknowledged the one before.
// Messages of different groups are delivered at the same time. Delivery is at
// least once: a message whose handler failed, or died, comes again, before
// those that follow it in its group.
type Queue interface {
	// Send appends a message to its group. A message whose ID was sent in the
	// last five minutes may be dropped.
	Send(ctx context.Context, m Message) error

	// Wake says that the message a handler put back (Retry) may be worth
	// delivering now; receipt is the Message.Receipt of that delivery. It is
	// a hint: lost, the message comes when its delay is over. A receipt of
	// another delivery than the last changes nothing; a driver may answer it
	// with ErrNotFound.
	Wake(ctx context.Context, m Message) error
}

// Message is a message, small: it carries names, never state.
type Message struct {
	Group   string // 1 to 128 bytes of letters, digits and punctuation
	ID      string // for deduplication; 1 to 128 bytes likewise
	Body    string // valid UTF-8, 1 byte to MaxBody
	Receipt string // of this delivery; set by the driver
}

// MaxBody is the longest body of a message, in bytes.
const MaxBody = 4 << 10

// Check returns ErrInvalid unless every driver can send m.
func (m Message) Check() error {
	if !queueName(m.Group) || !queueName(m.ID) ||
		m.Body == "" || len(m.Body) > MaxBody || !utf8.ValidString(m.Body) {
		return fmt.Errorf("message %.100q of group %.100q: %w", m.ID, m.Group, ErrInvalid)
	}
	return nil
}

// queueName reports whether s is made of what SQS takes for a message group ID
// and a deduplication ID: printable ASCII without the space.
func queueName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// Handler handles one delivery. An error, like a crash, brings the message again:
// after Outcome.Retry, or where that is 0 after FailedPause. A driver reports the
// error and has no back-off of its own.
type Handler func(ctx context.Context, m Message) (Outcome, error)

// FailedPause is how long a message waits whose handler failed, or died, without
// saying for how long.
const FailedPause = 250 * time.Millisecond

// Outcome says what is to become of a message.
type Outcome struct {
	// Retry puts the message back at the head of its group, invisible for
	// this long; 0 acknowledges it.
	Retry time.Duration

	// Recheck is called after the message was put back: true makes it visible at
	// once. A Wake that comes while the handler runs may be lost, since the
	// message is put back after it; Recheck sees its cause. Nil is false.
	Recheck func(ctx context.Context) bool
}

// Again returns for how long a message is put back of which a handler has
// returned o and err; false if it is acknowledged.
func (o Outcome) Again(err error) (time.Duration, bool) {
	if err != nil && o.Retry <= 0 {
		return FailedPause, true
	}
	return o.Retry, o.Retry > 0
}
