package lambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
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
	d := &delivery{Worker: w, m: m}
	out, err := d.handle(ctx)
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
	d.hide(ctx, pause)
	if out.Recheck != nil && out.Recheck(ctx) {
		d.hide(ctx, 0)
	}
	return false
}

// delivery is one delivery of a message.
type delivery struct {
	*Worker
	m driver.Message
	// over: the receipt is no longer valid. The message has come to another worker, because
	// this one renewed it too late, or it was deleted. Example: a process is stopped for two
	// minutes in its attempt. The lease of the task decides which attempt goes on, so this
	// delivery only stops to renew.
	over atomic.Bool
}

// handle calls the handler and keeps the message hidden meanwhile. When it returns, its
// goroutines have ended, and time is left to hide the message.
func (d *delivery) handle(ctx context.Context) (driver.Outcome, error) {
	ctx, cancel := early(ctx)
	defer cancel()
	d.hide(ctx, d.hidden())
	beats, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { d.beat(beats) })
	defer func() {
		stop()
		beating.Wait()
	}()
	return guarded(ctx, d.Handle, d.m)
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

func (d *delivery) beat(ctx context.Context) {
	ticker := time.NewTicker(d.hidden() / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.hide(ctx, d.hidden())
		}
	}
}

// hide sets the time at which the message comes again, unless the delivery is over. A failure
// only changes that time, so it is logged and ignored.
func (d *delivery) hide(ctx context.Context, after time.Duration) {
	if d.over.Load() {
		return
	}
	// SQS takes whole seconds. A message for immediate redelivery gets the shortest delay.
	err := d.Hide(ctx, d.m, after.Round(time.Second))
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, driver.ErrNotFound):
		d.over.Store(true)
		d.Log.Info("message is no longer this worker's: it came again, or is deleted", "body", d.m.Body, "error", err)
	default:
		d.Log.Warn("message is hidden for another time than wanted", "body", d.m.Body, "error", err)
	}
}
