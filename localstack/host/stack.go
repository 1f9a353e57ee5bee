package host

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"aptless/infra/aws"
)

// Options say how a stack is run.
type Options struct {
	Template string            // file
	Code     string            // folder in which the folders of the programs are that the template names
	Values   map[string]string // what resources and parameters of the template stand for
	Env      []string          // of all functions, besides what the template says: "NAME=value"
	Queues   string            // prefix of the names of queues
	SQS      *sqs.Client

	// Visibility of the queues, the time between calls of schedules, and that which
	// functions behind queues may take, in place of what the template says; 0
	// leaves it.
	Visibility, Every, Timeout time.Duration

	Functions io.Writer // what the functions print
	Log       *slog.Logger
}

// Stack is a template that runs.
type Stack struct {
	functions map[string]*Function
	stop      context.CancelFunc
	running   sync.WaitGroup
}

// Start makes the queues of a template and runs its functions. The caller stops
// the stack, also after an error.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{functions: map[string]*Function{}}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	t, err := ReadTemplate(o.Template)
	if err != nil {
		return s, err
	}
	for name, value := range o.Values {
		t.Set(name, value)
	}
	urls, err := o.queues(ctx, t)
	if err != nil {
		return s, err
	}
	for name, declared := range t.Functions {
		env, err := t.Env(declared)
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		f := &Function{Program: filepath.Join(o.Code, filepath.Base(declared.Code), "bootstrap"), Env: slices.Concat(env, o.Env), Timeout: declared.Timeout, Log: o.Functions}
		s.functions[name] = f
		if declared.Queue != "" {
			f.Timeout = cmp.Or(o.Timeout, f.Timeout)
			source := &aws.Source{Client: o.SQS, URL: urls[declared.Queue], Batch: declared.Batch, Workers: declared.Most, Deliver: f.deliver,
				Failed: func(err error) { o.Log.Warn("messages will come again", "error", err) }}
			s.running.Go(func() { source.Serve(ctx) })
		}
		if every := declared.Every; every > 0 {
			if o.Every > 0 {
				every = o.Every
			}
			s.running.Go(func() { schedule(ctx, f, every, o.Log) })
		}
	}
	return s, nil
}

// queues makes the queues, those for dead letters first, and returns their URLs.
func (o *Options) queues(ctx context.Context, t *Template) (map[string]string, error) {
	urls, arns := map[string]string{}, map[string]string{}
	for _, dead := range []bool{true, false} {
		for name, q := range t.Queues {
			if (q.DeadLetters == "") != dead {
				continue
			}
			url, arn, err := o.queue(ctx, name, q, arns[q.DeadLetters])
			if err != nil {
				return nil, fmt.Errorf("queue %s: %w", name, err)
			}
			urls[name], arns[name] = url, arn
			t.Set(name, url)
		}
	}
	return urls, nil
}

func (o *Options) queue(ctx context.Context, name string, q DeclaredQueue, dead string) (url, arn string, err error) {
	attributes := map[string]string{}
	full := o.Queues + "-" + name
	if q.FIFO {
		full += ".fifo"
		attributes["FifoQueue"] = "true"
	}
	visibility := q.Visibility
	if o.Visibility > 0 {
		visibility = o.Visibility
	}
	if visibility > 0 {
		attributes["VisibilityTimeout"] = strconv.Itoa(int(visibility.Seconds()))
	}
	if dead != "" {
		policy, err := json.Marshal(map[string]string{"deadLetterTargetArn": dead, "maxReceiveCount": strconv.Itoa(q.Receives)})
		if err != nil {
			return "", "", err
		}
		attributes["RedrivePolicy"] = string(policy)
	}
	made, err := o.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &full, Attributes: attributes})
	if err != nil {
		return "", "", err
	}
	got, err := o.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		return "", "", err
	}
	return sdk.ToString(made.QueueUrl), got.Attributes["QueueArn"], nil
}

// schedule calls a function again and again until ctx is done.
func schedule(ctx context.Context, f *Function, every time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if _, err := f.Invoke(ctx, []byte("{}")); err != nil && ctx.Err() == nil {
				log.Warn("call of the schedule failed", "error", err)
			}
		}
	}
}

// Function returns a function by its logical name, nil if there is none.
func (s *Stack) Function(name string) *Function { return s.functions[name] }

// Kill kills a process at work of one of the functions named, chosen by random.
// It reports false if none is.
func (s *Stack) Kill(random *rand.Rand, names ...string) bool {
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		if f := s.functions[name]; f != nil && f.Kill(random) {
			return true
		}
	}
	return false
}

// Stop ends all processes.
func (s *Stack) Stop() {
	s.stop()
	for _, f := range s.functions {
		f.Close()
	}
	s.running.Wait()
	for _, f := range s.functions { // what was started meanwhile
		f.Close()
	}
}
