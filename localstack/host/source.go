package host

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// source feeds a function from a queue, as Lambda's event source mapping does:
// what the function does not report as failed is deleted; everything else comes
// again when it is visible again, also if the function died.
type source struct {
	client   *sqs.Client
	url      string
	function *Function
	batch    int
	most     int // calls at the same time
	log      *slog.Logger
}

// receiveWait is how long a request waits for messages, in seconds; retryWait
// how long to wait after one that failed.
const (
	receiveWait = 20
	retryWait   = time.Second
)

// run feeds the function until ctx is done.
func (s *source) run(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	slots := make(chan struct{}, s.most)
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		out, err := s.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &s.url, MaxNumberOfMessages: int32(s.batch),
			WaitTimeSeconds: receiveWait, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
		if err != nil || len(out.Messages) == 0 {
			<-slots
			if err != nil && ctx.Err() == nil {
				s.log.Warn("queue was not read", "queue", s.url, "error", err)
				select {
				case <-ctx.Done():
				case <-time.After(retryWait):
				}
			}
			continue
		}
		calls.Go(func() {
			defer func() { <-slots }()
			s.call(ctx, out.Messages)
		})
	}
}

// call has the function work on messages and deletes those that are done.
func (s *source) call(ctx context.Context, messages []types.Message) {
	var event events.SQSEvent
	for _, m := range messages {
		event.Records = append(event.Records, events.SQSMessage{MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle),
			Body: aws.ToString(m.Body), Attributes: m.Attributes, EventSource: "aws:sqs"})
	}
	payload, err := json.Marshal(event)
	if err != nil {
		s.log.Error("event was not made", "error", err)
		return
	}
	out, err := s.function.Invoke(ctx, payload)
	var answer events.SQSEventResponse
	if err == nil {
		err = json.Unmarshal(out, &answer)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("call failed", "queue", s.url, "error", err)
		}
		return
	}
	failed := map[string]bool{}
	for _, f := range answer.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	for _, m := range messages {
		if failed[aws.ToString(m.MessageId)] {
			continue
		}
		if _, err := s.client.DeleteMessage(context.WithoutCancel(ctx), &sqs.DeleteMessageInput{QueueUrl: &s.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			s.log.Warn("message was not deleted", "queue", s.url, "error", err)
		}
	}
}
