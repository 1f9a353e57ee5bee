package aws

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"aptless/core/driver"
)

// Queue is the Queue port in SQS FIFO queues, one for each class of work.
type Queue struct {
	client *sqs.Client
	urls   map[string]string
}

var _ driver.Queue = (*Queue)(nil)

// url returns the queue of a group: that of the class before its first hyphen.
func (q *Queue) url(group string) *string {
	class, _, _ := strings.Cut(group, "-")
	if url, ok := q.urls[class]; ok {
		return &url
	}
	return aws.String(q.urls[defaultClass])
}

// Send implements driver.Queue.
func (q *Queue) Send(ctx context.Context, m driver.Message) error {
	if err := m.Check(); err != nil {
		return err
	}
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.url(m.Group), MessageBody: &m.Body,
		MessageGroupId: &m.Group, MessageDeduplicationId: &m.ID})
	if err != nil {
		return fmt.Errorf("send %s: %w", m.ID, err)
	}
	return nil
}

// Wake implements driver.Queue.
func (q *Queue) Wake(ctx context.Context, m driver.Message) error {
	if m.Receipt == "" {
		return fmt.Errorf("wake without a receipt: %w", driver.ErrNotFound)
	}
	return q.visible(ctx, q.url(m.Group), m.Receipt, 0)
}

// Hide makes a message that was delivered come again after a time and not
// before. driver.ErrNotFound if that delivery is over.
func (q *Queue) Hide(ctx context.Context, m driver.Message, d time.Duration) error {
	return q.visible(ctx, q.url(m.Group), m.Receipt, d)
}

// maxVisibility is SQS's, 12 hours.
const maxVisibility = 12 * time.Hour

// visible makes a message come again after a time, in whole seconds.
// driver.ErrNotFound if the receipt is of a delivery that is over.
func (q *Queue) visible(ctx context.Context, url *string, receipt string, after time.Duration) error {
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: &receipt,
		VisibilityTimeout: int32(min(after, maxVisibility).Seconds())})
	if over(err) {
		return fmt.Errorf("message: %w: %s", driver.ErrNotFound, code(err))
	}
	return err
}

// over says that a receipt is of a delivery that is over. Missing rights and
// throttling do not say that.
func over(err error) bool {
	name := code(err)
	return slices.Contains([]string{"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"},
		name[strings.LastIndexByte(name, '.')+1:])
}

// Visibility is for how long a message that is being handled is hidden; the
// handling extends it.
const Visibility = time.Minute

// Handle hands one delivery to h and does with the message what came out. It
// says whether the message is done with; the caller of a batch stops at the
// first that is not, since others of its group must not overtake it.
func (q *Queue) Handle(ctx context.Context, m driver.Message, deliveries int, h driver.Handler) (done bool, err error) {
	url := q.url(m.Group)
	beats, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { q.extend(beats, url, m.Receipt) })
	out, handled := call(ctx, h, m)
	stop()
	beating.Wait()
	// What follows is done also when the handler was told to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	switch {
	case handled != nil:
		return false, errors.Join(handled, ignoreGone(q.visible(ctx, url, m.Receipt, backoff(deliveries))))
	case out.Retry > 0:
		return false, ignoreGone(q.visible(ctx, url, m.Receipt, out.Retry))
	}
	return true, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	return err
}

// backoff is after what time a message comes again that failed for the nth time.
func backoff(n int) time.Duration {
	wait := min(time.Second<<min(max(n-1, 0), 6), time.Minute)
	return wait/2 + rand.N(wait/2+1)
}

// call makes a panic of the handler its error.
func call(ctx context.Context, h driver.Handler, m driver.Message) (out driver.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler of %s panicked: %v", m.Body, p)
		}
	}()
	return h(ctx, m)
}

// extend keeps a message hidden until ctx is done.
func (q *Queue) extend(ctx context.Context, url *string, receipt string) {
	ticker := time.NewTicker(Visibility / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := q.visible(ctx, url, receipt, Visibility); errors.Is(err, driver.ErrNotFound) {
				return // another delivery has it; the lease decides
			}
		}
	}
}

// Delete acknowledges a message, for callers of Handle that are not Lambda's
// event source, which does it by itself.
func (q *Queue) Delete(ctx context.Context, m driver.Message) error {
	_, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: q.url(m.Group), ReceiptHandle: &m.Receipt})
	return err
}

// receiveWait is how long a request waits for messages.
const receiveWait = 2 * time.Second

// Serve receives messages and hands them to h, up to workers groups at the same
// time, until ctx is done: what Lambda's event source does.
func (q *Queue) Serve(ctx context.Context, workers int, h driver.Handler, failed func(driver.Message, error)) {
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, workers)
	for _, url := range q.urls {
		all.Go(func() {
			for ctx.Err() == nil {
				select {
				case slots <- struct{}{}:
				case <-ctx.Done():
					return
				}
				m, deliveries, err := q.receive(ctx, url)
				if ctx.Err() != nil && m.Body != "" { // nobody is to handle it any more: others get it at once
					err = q.visible(context.WithoutCancel(ctx), &url, m.Receipt, 0)
					m = driver.Message{}
				}
				if err != nil || m.Body == "" {
					<-slots
					if err != nil && ctx.Err() == nil {
						failed(m, err)
						_ = pause(ctx, 5)
					}
					continue
				}
				all.Go(func() {
					defer func() { <-slots }()
					done, err := q.Handle(ctx, m, deliveries, h)
					if done {
						ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
						err = q.Delete(ending, m)
						cancel()
					}
					if err != nil {
						failed(m, err)
					}
				})
			}
		})
	}
}

// receive returns a message and how often it was delivered; an empty one if
// there is none. It does not end with ctx: a request that is given up may have
// been given a message, which would be hidden from everybody for a while.
func (q *Queue) receive(ctx context.Context, url string) (driver.Message, int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiveWait+10*time.Second)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 1,
		WaitTimeSeconds: int32(receiveWait.Seconds()), VisibilityTimeout: int32(Visibility.Seconds()),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
	if err != nil || len(out.Messages) == 0 {
		return driver.Message{}, 0, err
	}
	got := out.Messages[0]
	deliveries := 1
	fmt.Sscan(got.Attributes["ApproximateReceiveCount"], &deliveries)
	return driver.Message{Group: got.Attributes["MessageGroupId"], ID: got.Attributes["MessageDeduplicationId"],
		Body: aws.ToString(got.Body), Receipt: aws.ToString(got.ReceiptHandle)}, deliveries, nil
}
