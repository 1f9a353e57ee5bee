package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/infra/aws"
	"aptless/infra/aws/lambda"
)

// still has the process of the first delivery since armed stand still until its message has come again.
type still struct {
	hide  func(context.Context, driver.Message, time.Duration) error
	after bool // the process stands still after its attempt, and not before it

	armed      atomic.Bool
	mu         sync.Mutex
	deliveries []driver.Message
	failures   []error
	came, done chan struct{} // closed when the message came again, and when the first delivery is over
}

// worker returns a worker whose first message is hidden for a second.
func (s *still) worker(d *aws.Drivers, h driver.Handler) aws.Deliver {
	s.hide = d.Queue.Hide
	w := &lambda.Worker{Log: slog.New(slog.DiscardHandler), Hide: func(ctx context.Context, m driver.Message, after time.Duration) error {
		if s.armed.Load() && s.count() == 0 {
			after = time.Second
		}
		return s.hide(ctx, m, after)
	}, Handle: func(ctx context.Context, m driver.Message) (out driver.Outcome, err error) {
		if !s.armed.Load() {
			return h(ctx, m)
		}
		s.mu.Lock()
		s.deliveries = append(s.deliveries, m)
		n := len(s.deliveries)
		s.mu.Unlock()
		if n == 2 {
			close(s.came)
			<-s.done
		}
		if n == 1 && !s.after {
			<-s.came
		}
		out, err = h(ctx, m)
		if n == 1 && s.after {
			<-s.came
		}
		return out, err
	}}
	return w.Deliver
}

func (s *still) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.deliveries)
}

// failed receives the error of the deletion with the old receipt.
func (s *still) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures = append(s.failures, err); len(s.failures) == 1 {
		close(s.done)
	}
}

// TestReceiptOfAnExpiredVisibility: a worker's process stands still until the visibility of
// its message has expired, before its attempt or after it. SQS then refuses to delete the
// message with the worker's receipt (ReceiptHandleIsInvalid). Another delivery ends the
// message. The task is done once, the next message of the group comes, and nothing is
// tried again.
func TestReceiptOfAnExpiredVisibility(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after the attempt %v", after), func(t *testing.T) {
			s := &still{after: after, came: make(chan struct{}), done: make(chan struct{})}
			l := alone(t)
			p := serveBy(t, l, s.worker, s.failed)
			name := fmt.Sprint("receipt", time.Now().UnixNano())
			p.must("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name))
			s.armed.Store(true)
			for i, pkg := range []string{"first", "second"} {
				if err := p.upload(name, debtest.Spec{Package: pkg}); err != nil {
					t.Fatal(err)
				}
				answer := p.must("POST", "/api/repos/"+name+"/file/"+name, "")
				if strings.Count(string(answer), pkg+"_1.0_all added") != 1 {
					t.Errorf("%s", answer)
				}
				if i == 0 {
					<-s.done
				}
			}
			var keys []string
			if err := json.Unmarshal(p.must("GET", "/api/repos/"+name+"/packages", ""), &keys); err != nil || len(keys) != 2 {
				t.Errorf("%v, %v", keys, err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.deliveries) != 3 || s.deliveries[0].ID != s.deliveries[1].ID || s.deliveries[0].Receipt == s.deliveries[1].Receipt || s.deliveries[2].ID == s.deliveries[1].ID {
				t.Errorf("deliveries: %+v", s.deliveries)
			}
			if len(s.failures) != 1 || !strings.Contains(s.failures[0].Error(), "ReceiptHandleIsInvalid") {
				t.Errorf("failures: %v", s.failures)
			}
			if err := s.hide(t.Context(), s.deliveries[0], time.Second); !errors.Is(err, driver.ErrNotFound) {
				t.Errorf("the old receipt renews: %v", err)
			}
			if left := inQueue(t, l.Config.Queues["default"]); left != 0 {
				t.Errorf("%d messages are left", left)
			}
		})
	}
}

// inQueue returns the number of messages of a queue, hidden ones included.
func inQueue(t *testing.T, url string) int {
	t.Helper()
	out, err := local.SQS().GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, name := range []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible} {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
