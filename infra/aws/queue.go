package aws

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
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

// receiveWait is how long a request waits for messages.
const receiveWait = 2 * time.Second

// Deliver is what becomes of messages that were received; see lambda.Worker.
type Deliver func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// Serve receives messages and delivers them one at a time, up to workers groups
// at the same time, until ctx is done: what Lambda's event source does.
func (q *Queue) Serve(ctx context.Context, workers int, deliver Deliver, failed func(error)) {
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
				messages, err := q.receive(ctx, url)
				if ctx.Err() != nil && len(messages) > 0 { // nobody is to handle it any more: others get it at once
					err, messages = q.visible(context.WithoutCancel(ctx), &url, messages[0].ReceiptHandle, 0), nil
				}
				if err != nil || len(messages) == 0 {
					<-slots
					if err != nil && ctx.Err() == nil {
						failed(err)
						_ = pause(ctx, 5)
					}
					continue
				}
				all.Go(func() {
					defer func() { <-slots }()
					out, err := deliver(ctx, events.SQSEvent{Records: messages})
					if err == nil && len(out.BatchItemFailures) == 0 {
						err = q.delete(ctx, url, messages[0])
					}
					if err != nil {
						failed(err)
					}
				})
			}
		})
	}
}

// deleteWithin is how long a message that is done with is tried to be deleted.
const deleteWithin = 10 * time.Second

// delete acknowledges a message, also when ctx is done.
func (q *Queue) delete(ctx context.Context, url string, m events.SQSMessage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWithin)
	defer cancel()
	_, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: &m.ReceiptHandle})
	return err
}

// receive returns a message if there is one. It does not end with ctx: a request
// that is given up may have been given a message, which would be hidden from
// everybody for a while. If its answer is lost, it is repeated with its ID and
// answered with the same message.
func (q *Queue) receive(ctx context.Context, url string) ([]events.SQSMessage, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiveWait+10*time.Second)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 1,
		WaitTimeSeconds: int32(receiveWait.Seconds()), ReceiveRequestAttemptId: aws.String(rand.Text()),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
	if err != nil {
		return nil, err
	}
	var all []events.SQSMessage
	for _, m := range out.Messages {
		all = append(all, events.SQSMessage{MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle),
			Body: aws.ToString(m.Body), Attributes: m.Attributes, EventSource: "aws:sqs"})
	}
	return all, nil
}
