package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"aptless/core/engine/driver"
)

// Queue is the Queue port in SQS FIFO queues, one for each class of work.
type Queue struct {
	client *sqs.Client
	urls   map[string]string
}

var _ driver.Queue = (*Queue)(nil)

// url returns the queue of a group. The class of work is the text before the first hyphen.
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

// Hide makes a delivered message visible again after a time. The error is
// driver.ErrNotFound if the delivery is over.
func (q *Queue) Hide(ctx context.Context, m driver.Message, d time.Duration) error {
	return q.visible(ctx, q.url(m.Group), m.Receipt, d)
}

// maxVisibility is SQS's limit: 12 hours.
const maxVisibility = 12 * time.Hour

// visible makes a message visible again after a time, in whole seconds. The error is
// driver.ErrNotFound if the receipt's delivery is over.
func (q *Queue) visible(ctx context.Context, url *string, receipt string, after time.Duration) error {
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: &receipt,
		VisibilityTimeout: int32(min(after, maxVisibility).Seconds())})
	if over(err) {
		return fmt.Errorf("message: %w: %s", driver.ErrNotFound, code(err))
	}
	return err
}

// over reports whether an error means that the receipt's delivery is over. Missing rights
// and throttling are different errors.
func over(err error) bool {
	name := code(err)
	return slices.Contains([]string{"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"},
		name[strings.LastIndexByte(name, '.')+1:])
}

// Serve delivers messages one at a time until ctx is done. Each queue has up to workers
// concurrent deliveries.
func (q *Queue) Serve(ctx context.Context, workers int, deliver Deliver, failed func(error)) {
	var all sync.WaitGroup
	for _, url := range q.urls {
		all.Go(func() {
			(&Source{Client: q.client, URL: url, Batch: 1, Workers: workers, Deliver: deliver, Failed: failed}).Serve(ctx)
		})
	}
	all.Wait()
}
