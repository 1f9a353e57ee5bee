//go:build awsreal

package awsreal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/infra/aws"
	"aptless/infra/aws/lambda"
	"aptless/tests/prices"
)

// real has the resources of this run.
var real struct {
	config aws.Config
	sdk    sdk.Config
	opened []*aws.Drivers
	mu     sync.Mutex
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	var err error
	if real.sdk, err = config.LoadDefaultConfig(ctx); err == nil {
		_, err = real.sdk.Credentials.Retrieve(ctx)
	}
	if err != nil || real.sdk.Region == "" {
		fmt.Fprintf(os.Stderr, "test-aws-real: no AWS credentials, or no region: set AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION: %v\n", err)
		return 1
	}
	if os.Getenv("APTLESS_URL") == "" || os.Getenv("APTLESS_TOKEN") == "" || os.Getenv("APTLESS_REPOSITORY") == "" {
		fmt.Fprintln(os.Stderr, "test-aws-real: APTLESS_URL and APTLESS_REPOSITORY are the outputs ApiUrl and RepositoryUrl of a stack, and APTLESS_TOKEN a token that may do everything")
		return 1
	}
	name := "aptless-real-" + strings.ToLower(rand.Text()[:10])
	real.config = aws.Config{Table: name, PrivateBucket: name + "-private", PublicBucket: name + "-public", Lease: time.Minute,
		DynamoDBURL: os.Getenv("APTLESS_DYNAMODB_URL"), S3URL: os.Getenv("APTLESS_S3_URL"), SQSURL: os.Getenv("APTLESS_SQS_URL")}
	defer remove(context.WithoutCancel(ctx))
	code := m.Run()
	report()
	return code
}

// report prints the requests of the drivers and their price.
func report() {
	total := map[string]int64{}
	for _, d := range real.opened {
		for kind, n := range d.Counts() {
			total[kind] += n
		}
	}
	sum, err := prices.Dollars(total)
	fmt.Printf("requests of the drivers: %v\nThey cost %.4f dollars at list price. The journey costs less than a cent.\n", total, sum/1e6)
	if err != nil {
		fmt.Println("not counted:", err)
	}
}

var queues atomic.Int64

// open connects drivers with a queue of their own. The first call makes table and buckets.
func open(t *testing.T) *aws.Drivers {
	t.Helper()
	c := real.config
	c.Queues = map[string]string{}
	d, err := aws.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context(), fmt.Sprintf("%s-%d", c.Table, queues.Add(1)), "default"); err != nil {
		t.Fatal(err)
	}
	table, _, _ := clients()
	wait := dynamodb.NewTableExistsWaiter(table)
	if err := wait.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &c.Table}, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	real.mu.Lock()
	defer real.mu.Unlock()
	real.opened = append(real.opened, d)
	return d
}

// clients returns clients of the services: those of AWS, unless the environment has
// substitutes, as for the drivers.
func clients() (*dynamodb.Client, *s3.Client, *sqs.Client) {
	at := func(url string) *string {
		if url == "" {
			return nil
		}
		return &url
	}
	c := real.config
	return dynamodb.NewFromConfig(real.sdk, func(o *dynamodb.Options) { o.BaseEndpoint = at(c.DynamoDBURL) }),
		s3.NewFromConfig(real.sdk, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = at(c.S3URL), c.S3URL != "" }),
		sqs.NewFromConfig(real.sdk, func(o *sqs.Options) { o.BaseEndpoint = at(c.SQSURL) })
}

// remove deletes the resources of the run, and reports resources that are left.
func remove(ctx context.Context) {
	var problems error
	table, objects, messages := clients()
	if len(real.opened) == 0 {
		return
	}
	for _, bucket := range []string{real.config.PrivateBucket, real.config.PublicBucket} {
		for info, err := range real.opened[0].Blobs.List(ctx, map[bool]string{true: "private/", false: "public/"}[bucket == real.config.PrivateBucket], "") {
			if err == nil {
				err = real.opened[0].Blobs.Delete(ctx, info.Key)
			}
			problems = errors.Join(problems, err)
		}
		_, err := objects.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
		problems = errors.Join(problems, err)
	}
	_, err := table.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &real.config.Table})
	problems = errors.Join(problems, err)
	out, err := messages.ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: &real.config.Table})
	problems = errors.Join(problems, err)
	if err == nil {
		for _, url := range out.QueueUrls {
			_, err := messages.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
			problems = errors.Join(problems, err)
		}
	}
	if problems != nil {
		fmt.Fprintf(os.Stderr, "test-aws-real: resources named %s are left: %v\n", real.config.Table, problems)
	}
}

// worker is the handler of a function for its queue.
func worker(d *aws.Drivers, h driver.Handler) aws.Deliver {
	return (&lambda.Worker{Handle: h, Hide: d.Queue.Hide, Log: slog.New(slog.DiscardHandler)}).Deliver
}

// TestDrivers runs the suite of all drivers.
func TestDrivers(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Set {
		d := open(t)
		return drivertest.Set{NotLazy: true, Blobs: d.Blobs, Table: d.Table, Queue: d.Queue, Serve: func(ctx context.Context, h driver.Handler) {
			d.Queue.Serve(ctx, 8, worker(d, h), func(error) {})
		}}
	})
}

// TestCopiesRace: of many copies to one absent name exactly one succeeds, and the others are
// told within seconds that the name exists. S3 may answer 409 meanwhile, but not for minutes.
func TestCopiesRace(t *testing.T) {
	d := open(t)
	const writers, rounds = 16, 20
	if _, err := d.Blobs.Put(t.Context(), "private/race/from", strings.NewReader("bytes"), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var longest time.Duration
	for round := range rounds {
		var all sync.WaitGroup
		var won, lost atomic.Int64
		begun := time.Now()
		for range writers {
			all.Go(func() {
				_, err := d.Blobs.Copy(t.Context(), fmt.Sprint("private/race/to-", round), "private/race/from", driver.PutOptions{IfAbsent: true, Size: 5})
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, driver.ErrExists):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		longest = max(longest, time.Since(begun))
		if won.Load() != 1 || lost.Load() != writers-1 {
			t.Errorf("round %d: %d won, %d were told", round, won.Load(), lost.Load())
		}
	}
	t.Logf("the longest round took %v", longest)
	if longest > time.Minute {
		t.Errorf("a race of copies takes %v", longest)
	}
}

// TestWake: a message whose receipt a worker has kept comes again soon after Wake, although
// it was hidden for minutes.
func TestWake(t *testing.T) {
	d := open(t)
	if err := d.Queue.Send(t.Context(), driver.Message{Group: "default-g", ID: "1", Body: "1"}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop()
	first, again := make(chan driver.Message, 1), make(chan time.Time, 1)
	deliveries := 0
	serving.Go(func() {
		d.Queue.Serve(ctx, 1, worker(d, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
			if deliveries++; deliveries == 1 {
				first <- m
				return driver.Outcome{Retry: 5 * time.Minute}, nil
			}
			again <- time.Now()
			return driver.Outcome{}, nil
		}), func(err error) { t.Log(err) })
	})
	m := <-first
	time.Sleep(2 * time.Second) // the batch's failure is reported
	woken := time.Now()
	if err := d.Queue.Wake(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	select {
	case at := <-again:
		t.Logf("came again after %v", at.Sub(woken))
	case <-time.After(time.Minute):
		t.Error("the message stays hidden")
	}
}
