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

// Lease is that of an attempt (task.Dispatcher.Lease) unless another one is
// configured; Hidden is for how long a message then stays hidden from when its
// worker was last heard of.
const (
	Lease  = time.Minute
	Hidden = hiddenBy * Lease / 3
)

// hiddenBy is for how many thirds of a lease messages stay hidden.
const hiddenBy = 5

// maxRecords is how many messages one event may have; the queues are read one
// message at a time.
const maxRecords = 10

// putBackWithin is how long it may take to put a message back.
const putBackWithin = 10 * time.Second

// Worker handles the deliveries of SQS.
type Worker struct {
	Handle driver.Handler
	// Hide makes a message that was delivered visible again after d and not before.
	Hide func(ctx context.Context, m driver.Message, d time.Duration) error
	Log  *slog.Logger
	// Lease is that of an attempt, 0 is the constant.
	Lease time.Duration
}

// hidden is for how long a message is hidden, in whole seconds as SQS counts.
func (w *Worker) hidden() time.Duration {
	if w.Lease == 0 {
		return Hidden
	}
	return max((hiddenBy * w.Lease / 3).Truncate(time.Second), time.Second)
}

// Deliver handles the messages of an event in their order. From the first that
// is to come again all are reported as failed, so that none overtakes it.
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

// deliver reports whether a message is done with.
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
	// The message is put back also when the worker was told to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackWithin)
	defer cancel()
	pause, again := out.Again(err)
	if !again {
		return true
	}
	if err != nil {
		pause = max(pause, time.Second) // the shortest that SQS has
		w.Log.Warn("message will come again", "body", m.Body, "after", pause, "error", err)
	}
	w.hide(ctx, m, pause)
	if out.Recheck != nil && out.Recheck(ctx) {
		w.hide(ctx, m, 0)
	}
	return false
}

// handle calls the handler and keeps the message hidden meanwhile. Nothing
// runs on when it returns, and there is time left to hide the message.
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

// guarded makes a panic of the handler its error.
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

// hide is a matter of when and not of whether a message comes again: that it
// failed ends nothing.
func (w *Worker) hide(ctx context.Context, m driver.Message, d time.Duration) {
	// SQS takes whole seconds. What is to come back at once has the least of times.
	d = d.Round(time.Second)
	if err := w.Hide(ctx, m, d); err != nil && ctx.Err() == nil {
		w.Log.Warn("message is hidden for another time than wanted", "body", m.Body, "error", err)
	}
}
