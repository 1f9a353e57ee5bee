package aws

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Source feeds a function from a queue, as Lambda's event source mapping does:
// what the function does not report as failed is deleted; everything else comes
// again when it is visible again, also if the function died.
type Source struct {
	Client  *sqs.Client
	URL     string
	Batch   int // messages of an event, at most
	Workers int // calls at the same time, at most
	Deliver Deliver
	Failed  func(error) // is told of what went wrong
}

// Deliver is what becomes of messages that were received; see lambda.Worker.
type Deliver func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// receiveWait is how long a request waits for messages. Whoever stops a source
// may wait for that.
const receiveWait = time.Second

// Serve feeds the function until ctx is done.
func (s *Source) Serve(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	slots := make(chan struct{}, s.Workers)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		event, err := s.receive(ctx)
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return
			}
			s.Failed(err)
			_ = pause(ctx, 5)
			<-slots
		case ctx.Err() != nil: // nobody is to handle it any more: others get it at once
			s.giveBack(ctx, event)
			return
		case len(event.Records) == 0:
			<-slots
		default:
			calls.Go(func() {
				defer func() { <-slots }()
				if err := s.call(ctx, event); err != nil && ctx.Err() == nil {
					s.Failed(err)
				}
			})
		}
	}
}

// receive returns messages if there are any. It does not end with ctx: a request
// that is given up may have been given a message, which would be hidden from
// everybody for a while. If its answer is lost, it is repeated with its ID and
// answered with the same messages.
func (s *Source) receive(ctx context.Context) (event events.SQSEvent, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiveWait+10*time.Second)
	defer cancel()
	out, err := s.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &s.URL, MaxNumberOfMessages: int32(s.Batch),
		WaitTimeSeconds: int32(receiveWait.Seconds()), ReceiveRequestAttemptId: aws.String(rand.Text()),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
	if err != nil {
		return event, fmt.Errorf("receive from %s: %w", s.URL, err)
	}
	for _, m := range out.Messages {
		event.Records = append(event.Records, events.SQSMessage{MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle),
			Body: aws.ToString(m.Body), Attributes: m.Attributes, EventSource: "aws:sqs"})
	}
	return event, nil
}

func (s *Source) giveBack(ctx context.Context, event events.SQSEvent) {
	for _, m := range event.Records {
		if _, err := s.Client.ChangeMessageVisibility(context.WithoutCancel(ctx), &sqs.ChangeMessageVisibilityInput{
			QueueUrl: &s.URL, ReceiptHandle: &m.ReceiptHandle}); err != nil {
			s.Failed(fmt.Errorf("message was not given back: %w", err))
		}
	}
}

// deleteWithin is how long messages that are done with are tried to be deleted.
const deleteWithin = 10 * time.Second

// call has the function work on messages and deletes those that are done, also
// when ctx is done.
func (s *Source) call(ctx context.Context, event events.SQSEvent) error {
	out, err := s.Deliver(ctx, event)
	if err != nil {
		return fmt.Errorf("call for %s: %w", s.URL, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWithin)
	defer cancel()
	var failed error
	for _, m := range event.Records {
		if slices.ContainsFunc(out.BatchItemFailures, func(f events.SQSBatchItemFailure) bool { return f.ItemIdentifier == m.MessageId }) {
			continue
		}
		if _, err := s.Client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &s.URL, ReceiptHandle: &m.ReceiptHandle}); err != nil {
			failed = errors.Join(failed, fmt.Errorf("message was not deleted: %w", err))
		}
	}
	return failed
}
