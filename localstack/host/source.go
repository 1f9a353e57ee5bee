package host

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/events"
)

// deliver calls the function with messages of a queue.
func (f *Function) deliver(ctx context.Context, event events.SQSEvent) (answer events.SQSEventResponse, err error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return answer, err
	}
	out, err := f.Invoke(ctx, payload)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(out, &answer)
}
