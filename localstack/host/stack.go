package host

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
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

// Options are the settings of a stack.
type Options struct {
	Template string            // path of the template
	Code     string            // folder of the programs, by the folder names of the template
	Values   map[string]string // values of resources and parameters of the template
	Env      []string          // additional environment of all functions: "NAME=value"
	Queues   string            // prefix of the names of queues
	SQS      *sqs.Client

	// Services receive the calls of the functions, each with the rights of its role.
	Services Services

	// These values replace values of the template unless they are 0. Every is the time
	// between scheduled calls. Timeout is the timeout of functions with a queue, and
	// Answer that of the others.
	Every, Timeout, Answer time.Duration

	Functions io.Writer // receives the output of the functions
	Log       *slog.Logger
}

// Stack is a running template.
type Stack struct {
	Signed   bool      // whether the API's route asks for AWS credentials
	Template *Template // with the values of Options

	functions map[string]*Function
	guards    []*http.Server
	ctx       context.Context // of events
	log       *slog.Logger
	stop      context.CancelFunc
	running   sync.WaitGroup
}

// Start creates the queues of a template and runs its functions. The caller stops the
// stack, also after an error.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{functions: map[string]*Function{}}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.ctx, s.log = ctx, o.Log
	t, err := ReadTemplate(o.Template)
	if err != nil {
		return s, err
	}
	for name, value := range o.Values {
		t.Set(name, value)
	}
	if s.Signed, err = t.AsksForSignatures(); err != nil {
		return s, err
	}
	s.Template = t
	urls, arns, err := o.queues(ctx, t)
	if err != nil {
		return s, err
	}
	for name, declared := range t.Functions {
		if err := t.Settle(&declared); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		env, err := t.Env(declared)
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		f := &Function{Program: filepath.Join(o.Code, filepath.Base(declared.Code), "bootstrap"), Env: slices.Concat(env, o.Env), Timeout: cmp.Or(o.Answer, declared.Timeout), Memory: declared.Memory, Log: o.Functions}
		s.functions[name] = f
		if err := s.guard(f, o.Services, declared, arns, urls[declared.Queue]); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		if declared.Queue != "" {
			f.Timeout = cmp.Or(o.Timeout, declared.Timeout)
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

// guard gives a function the rights of its role. Lambda receives and deletes the
// messages of a queue by the same role.
func (s *Stack) guard(f *Function, services Services, declared Declared, arns map[string]string, queue string) error {
	role, err := s.Template.Role(declared)
	if err != nil {
		return err
	}
	buckets, err := s.Template.BucketPolicies()
	if err != nil {
		return err
	}
	if f.guard, err = newGuard(services, role, buckets, arns); err != nil {
		return err
	}
	for _, action := range []string{"ReceiveMessage", "DeleteMessage", "GetQueueAttributes"} {
		if c := (Call{"sqs:" + action, arns[queue], nil}); queue != "" && !f.guard.allows(c) {
			return fmt.Errorf("the role may not %s of %s", c.Action, c.Resource)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f.guard, ReadHeaderTimeout: time.Minute}
	s.guards = append(s.guards, server)
	go server.Serve(listener)
	for _, name := range []string{"APTLESS_DYNAMODB_URL", "APTLESS_S3_URL", "APTLESS_SQS_URL", "APTLESS_EDGE_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_SECRETS_MANAGER"} {
		f.Env = append(f.Env, name+"=http://"+listener.Addr().String())
	}
	return nil
}

// Denied returns the calls that the policies have refused, by the names of functions.
func (s *Stack) Denied() map[string][]string {
	all := map[string][]string{}
	for name, f := range s.functions {
		if denied, _ := f.guard.seen(); len(denied) > 0 {
			all[name] = denied
		}
	}
	return all
}

// Peaks returns the memory of the largest process of each function, in MB.
func (s *Stack) Peaks() map[string]int64 {
	all := map[string]int64{}
	for name, f := range s.functions {
		all[name] = f.peak.Load() >> 10
	}
	return all
}

// Used returns the actions that a function has called, for example "s3:PutObject".
func (s *Stack) Used(function string) []string {
	_, used := s.functions[function].guard.seen()
	return used
}

// queues creates the queues, dead-letter queues first. It returns their URLs by name, and
// their ARNs by URL.
func (o *Options) queues(ctx context.Context, t *Template) (urls, byURL map[string]string, err error) {
	urls, arns, byURL := map[string]string{}, map[string]string{}, map[string]string{}
	for _, dead := range []bool{true, false} {
		for name, q := range t.Queues {
			if (q.DeadLetters == "") != dead {
				continue
			}
			url, arn, err := o.queue(ctx, name, q, arns[q.DeadLetters])
			if err != nil {
				return nil, nil, fmt.Errorf("queue %s: %w", name, err)
			}
			urls[name], arns[name], byURL[url] = url, arn, arn
			t.Set(name, url)
			t.Set(name+".Arn", arn)
		}
	}
	return urls, byURL, nil
}

func (o *Options) queue(ctx context.Context, name string, q DeclaredQueue, dead string) (url, arn string, err error) {
	attributes := map[string]string{}
	full := o.Queues + "-" + name
	if q.FIFO {
		full += ".fifo"
		attributes["FifoQueue"] = "true"
	}
	if q.Visibility > 0 {
		attributes["VisibilityTimeout"] = strconv.Itoa(int(q.Visibility.Seconds()))
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

// schedule calls a function repeatedly until ctx is done.
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

// Function returns a function by its logical name, or nil.
func (s *Stack) Function(name string) *Function { return s.functions[name] }

// Kill kills a random busy process of the named functions. It reports false if there is
// none.
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
	for _, f := range s.functions { // processes started meanwhile
		f.Close()
	}
	for _, g := range s.guards {
		g.Close()
	}
}
