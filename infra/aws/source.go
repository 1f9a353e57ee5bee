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

// Source feeds a function from a queue, as Lambda's event source mapping does. It deletes
// the messages that the function does not report as failed. Other messages come again
// after their visibility timeout, also if the function died.
type Source struct {
	Client  *sqs.Client
	URL     string
	Batch   int // bounds the messages of an event
	Workers int // bounds the concurrent calls
	Deliver Deliver
	Failed  func(error) // receives errors
}

// Deliver handles received messages; see lambda.Worker.
type Deliver func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// receiveWait is the duration of a long poll. Stopping a source takes as long.
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
		case ctx.Err() != nil: // this source is stopping: the message becomes visible at once
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

// receive polls for messages. It does not end with ctx: an interrupted request may have
// received a message, which would stay hidden for a while. After a lost answer the SDK
// repeats the request with its attempt ID and gets the same messages.
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

// deleteWithin bounds the time to delete handled messages.
const deleteWithin = 10 * time.Second

// call calls the function with messages and deletes the handled ones, even if ctx is done.
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
