package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"aptless/core/engine/driver"
)

// hidden is one call of Hide.
type hidden struct {
	Receipt string
	For     time.Duration
}

// deliver delivers messages with these bodies. It returns the failed ones and the calls
// of Hide.
func deliver(t *testing.T, ctx context.Context, h driver.Handler, bodies ...string) (again []string, hides []hidden) {
	t.Helper()
	w := &Worker{Handle: h, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Hide: func(ctx context.Context, m driver.Message, d time.Duration) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			hides = append(hides, hidden{m.Receipt, d})
			return errors.New("an answer that ends nothing")
		}}
	var event events.SQSEvent
	for i, body := range bodies {
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: "id" + strconv.Itoa(i), ReceiptHandle: "r" + strconv.Itoa(i), Body: body,
			Attributes: map[string]string{"MessageGroupId": "g", "MessageDeduplicationId": "d" + strconv.Itoa(i)},
		})
	}
	out, err := w.Deliver(ctx, event)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range out.BatchItemFailures {
		again = append(again, f.ItemIdentifier)
	}
	return again, hides
}

func TestDeliver(t *testing.T) {
	for name, c := range map[string]struct {
		bodies []string
		out    driver.Outcome
		err    error
		panics bool
		again  []string
		hides  []hidden
	}{
		"done":         {bodies: []string{"1"}, hides: []hidden{{"r0", Hidden}}},
		"put back":     {bodies: []string{"1"}, out: driver.Outcome{Retry: 7 * time.Second}, again: []string{"id0"}, hides: []hidden{{"r0", Hidden}, {"r0", 7 * time.Second}}},
		"next slice":   {bodies: []string{"1"}, out: driver.Outcome{Retry: time.Millisecond}, again: []string{"id0"}, hides: []hidden{{"r0", Hidden}, {"r0", 0}}},
		"broken":       {bodies: []string{"1"}, err: errors.New("out of reach"), again: []string{"id0"}, hides: []hidden{{"r0", Hidden}, {"r0", time.Second}}},
		"back-off":     {bodies: []string{"1"}, out: driver.Outcome{Retry: 16 * time.Second}, err: errors.New("out of reach"), again: []string{"id0"}, hides: []hidden{{"r0", Hidden}, {"r0", 16 * time.Second}}},
		"none after":   {bodies: []string{"1", "2", "3"}, err: errors.New("out of reach"), again: []string{"id0", "id1", "id2"}, hides: []hidden{{"r0", Hidden}, {"r0", time.Second}}},
		"panic":        {bodies: []string{"1"}, panics: true, again: []string{"id0"}, hides: []hidden{{"r0", Hidden}, {"r0", time.Second}}},
		"not ours":     {bodies: []string{""}},
		"two messages": {bodies: []string{"1", "2"}, hides: []hidden{{"r0", Hidden}, {"r1", Hidden}}},
	} {
		t.Run(name, func(t *testing.T) {
			again, hides := deliver(t, context.Background(), func(_ context.Context, m driver.Message) (driver.Outcome, error) {
				if m.Group != "g" || m.ID == "" || m.Receipt == "" {
					t.Errorf("message %+v", m)
				}
				if c.panics {
					panic("out of order")
				}
				return c.out, c.err
			}, c.bodies...)
			if diff := cmp.Diff(c.again, again); diff != "" {
				t.Error("come again:", diff)
			}
			if diff := cmp.Diff(c.hides, hides); diff != "" {
				t.Error("hidden:", diff)
			}
		})
	}
}

// TestHeartbeat holds that a message stays hidden while its handler works. A handler whose
// time is up leaves time to make the message visible again.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 5 * time.Minute
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		began := time.Now()
		again, hides := deliver(t, ctx, func(ctx context.Context, _ driver.Message) (driver.Outcome, error) {
			<-ctx.Done()
			return driver.Outcome{}, ctx.Err()
		}, "1")
		if took := time.Since(began); took != timeout-margin {
			t.Errorf("the handler had %v of %v", took, timeout)
		}
		if len(again) != 1 || len(hides) != 1+int((timeout-margin)/(Hidden/3))+1 {
			t.Fatalf("come again %v, hidden %v", again, hides)
		}
		for _, h := range hides[:len(hides)-1] {
			if h.For != Hidden {
				t.Errorf("hidden for %v", h.For)
			}
		}
		if last := hides[len(hides)-1]; last.For != time.Second {
			t.Errorf("at last hidden for %v", last.For)
		}
	})
}

// TestDeliveryThatIsOver: when a receipt is no longer valid, the handler goes on, and the
// worker renews nothing more. One line of the log says so, and is no warning.
func TestDeliveryThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		calls := 0
		w := &Worker{Log: slog.New(slog.NewTextHandler(&log, nil)),
			Handle: func(context.Context, driver.Message) (driver.Outcome, error) {
				time.Sleep(10 * Hidden)
				return driver.Outcome{Retry: time.Millisecond, Recheck: func(context.Context) bool { return true }}, nil
			},
			Hide: func(context.Context, driver.Message, time.Duration) error {
				if calls++; calls < 3 {
					return nil
				}
				return fmt.Errorf("message: %w: ReceiptHandleIsInvalid", driver.ErrNotFound)
			}}
		out, err := w.Deliver(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "id", ReceiptHandle: "r", Body: "1",
			Attributes: map[string]string{"MessageGroupId": "g", "MessageDeduplicationId": "d"}}}})
		if err != nil || len(out.BatchItemFailures) != 1 || calls != 3 {
			t.Errorf("%+v after %d calls, %v", out, calls, err)
		}
		if lines := log.String(); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, "level=INFO") {
			t.Error(lines)
		}
	})
}

// TestRecheckAfterPutBack holds that a Wake is not lost if it arrives before the message
// is visible again: the state is checked afterwards.
func TestRecheckAfterPutBack(t *testing.T) {
	for _, woken := range []bool{false, true} {
		rechecked := 0
		_, hides := deliver(t, t.Context(), func(context.Context, driver.Message) (driver.Outcome, error) {
			return driver.Outcome{Retry: time.Minute, Recheck: func(context.Context) bool { rechecked++; return woken }}, nil
		}, "1")
		want := []hidden{{"r0", Hidden}, {"r0", time.Minute}}
		if woken {
			want = append(want, hidden{"r0", 0})
		}
		if diff := cmp.Diff(want, hides); diff != "" || rechecked != 1 {
			t.Errorf("woken %v: rechecked %d times, %s", woken, rechecked, diff)
		}
	}
}

func TestSchedule(t *testing.T) {
	broken := errors.New("out of reach")
	err := Schedule(func(context.Context) error { return broken })(context.Background())
	if !errors.Is(err, broken) {
		t.Errorf("an error of the tick is answered with %v", err)
	}
}
