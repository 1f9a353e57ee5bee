package lambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"aptless/core/engine/driver"
)

// Lease is the default lease of an attempt (task.Dispatcher.Lease). Hidden is the time
// for which a message then stays hidden after the last heartbeat of its worker.
const (
	Lease  = time.Minute
	Hidden = hiddenBy * Lease / 3
)

// hiddenBy is the ratio of Hidden to a third of the lease.
const hiddenBy = 5

// maxRecords bounds the messages of one event. The queues deliver one message at a time.
const maxRecords = 10

// putBackWithin bounds the time to make a message visible again.
const putBackWithin = 10 * time.Second

// Worker handles the deliveries of SQS.
type Worker struct {
	Handle driver.Handler
	// Hide makes a delivered message visible again after d.
	Hide func(ctx context.Context, m driver.Message, d time.Duration) error
	Log  *slog.Logger
	// Lease is the lease of an attempt; 0 is the constant Lease.
	Lease time.Duration
}

// hidden returns the time for which a message is hidden, in whole seconds as SQS needs it.
func (w *Worker) hidden() time.Duration {
	if w.Lease == 0 {
		return Hidden
	}
	return max((hiddenBy * w.Lease / 3).Truncate(time.Second), time.Second)
}

// Deliver handles the messages of an event in order. From the first message that must
// come again, it reports all as failed, so that no message overtakes another.
func (w *Worker) Deliver(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	if len(event.Records) > maxRecords {
		return events.SQSEventResponse{}, errors.New("more messages in an event than SQS delivers")
	}
	for i, record := range event.Records {
		if !w.deliver(ctx, record) {
			return failed(event.Records[i:]), nil
		}
	}
	return events.SQSEventResponse{}, nil
}

func failed(records []events.SQSMessage) events.SQSEventResponse {
	var out events.SQSEventResponse
	for _, r := range records {
		out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
	}
	return out
}

// deliver handles a message and reports whether it is acknowledged.
func (w *Worker) deliver(ctx context.Context, record events.SQSMessage) bool {
	m := driver.Message{
		Group:   record.Attributes["MessageGroupId"],
		ID:      record.Attributes["MessageDeduplicationId"],
		Body:    record.Body,
		Receipt: record.ReceiptHandle,
	}
	if err := m.Check(); err != nil {
		w.Log.Error("message is not one of ours", "message", record.MessageId, "error", err)
		return true
	}
	out, err := w.handle(ctx, m)
	// The message becomes visible again even if the worker was told to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackWithin)
	defer cancel()
	pause, again := out.Again(err)
	if !again {
		return true
	}
	if err != nil {
		pause = max(pause, time.Second) // the shortest delay of SQS
		w.Log.Warn("message will come again", "body", m.Body, "after", pause, "error", err)
	}
	w.hide(ctx, m, pause)
	if out.Recheck != nil && out.Recheck(ctx) {
		w.hide(ctx, m, 0)
	}
	return false
}

// handle calls the handler and keeps the message hidden meanwhile. When it returns, its
// goroutines have ended, and time is left to hide the message.
func (w *Worker) handle(ctx context.Context, m driver.Message) (driver.Outcome, error) {
	ctx, cancel := early(ctx)
	defer cancel()
	w.hide(ctx, m, w.hidden())
	beats, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { w.beat(beats, m) })
	defer func() {
		stop()
		beating.Wait()
	}()
	return guarded(ctx, w.Handle, m)
}

// guarded converts a panic of the handler to an error.
func guarded(ctx context.Context, h driver.Handler, m driver.Message) (out driver.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler of %s panicked: %v\n%s", m.Body, p, debug.Stack())
		}
	}()
	return h(ctx, m)
}

func (w *Worker) beat(ctx context.Context, m driver.Message) {
	ticker := time.NewTicker(w.hidden() / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.hide(ctx, m, w.hidden())
		}
	}
}

// hide sets the time at which a message comes again. A failure only changes that time, so
// it is logged and ignored.
func (w *Worker) hide(ctx context.Context, m driver.Message, d time.Duration) {
	// SQS takes whole seconds. A message for immediate redelivery gets the shortest delay.
	d = d.Round(time.Second)
	if err := w.Hide(ctx, m, d); err != nil && ctx.Err() == nil {
		w.Log.Warn("message is hidden for another time than wanted", "body", m.Body, "error", err)
	}
}
