package aws

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/logging"

	"aptless/core/engine/driver"
)

// Config names the AWS resources.
type Config struct {
	Table         string
	PrivateBucket string
	PublicBucket  string
	DropBucket    string            // the drop box; "" is none
	Queues        map[string]string // queue URLs by class of work; "default" serves every other class

	// Lease is the time for which a silent worker counts as alive.
	Lease time.Duration

	Storages map[string]Storage // further places to publish to, by name

	DynamoDBURL, S3URL, SQSURL string // endpoints of substitutes for AWS; "" is AWS
}

// defaultClass is the class of the queue for groups without their own queue.
const defaultClass = "default"

// classes are the classes of work that may have their own queue.
var classes = []string{"publish", "mirror", "cleanup"}

// FromEnv reads a Config from the environment. getenv is a function like os.Getenv.
func FromEnv(getenv func(string) string) (Config, error) {
	c := Config{
		Table: getenv("APTLESS_TABLE"), PrivateBucket: getenv("APTLESS_PRIVATE_BUCKET"), PublicBucket: getenv("APTLESS_PUBLIC_BUCKET"),
		DropBucket:  getenv("APTLESS_DROP_BUCKET"),
		Queues:      map[string]string{defaultClass: getenv("APTLESS_QUEUE")},
		DynamoDBURL: getenv("APTLESS_DYNAMODB_URL"), S3URL: getenv("APTLESS_S3_URL"), SQSURL: getenv("APTLESS_SQS_URL"),
	}
	for _, class := range classes {
		if url := getenv("APTLESS_QUEUE_" + strings.ToUpper(class)); url != "" {
			c.Queues[class] = url
		}
	}
	for name, value := range map[string]string{"APTLESS_TABLE": c.Table, "APTLESS_PRIVATE_BUCKET": c.PrivateBucket,
		"APTLESS_PUBLIC_BUCKET": c.PublicBucket, "APTLESS_QUEUE": c.Queues[defaultClass]} {
		if value == "" {
			return Config{}, fmt.Errorf("%s: %w", name, errUnset)
		}
	}
	var err error
	if c.Lease, err = time.ParseDuration(cmp.Or(getenv("APTLESS_LEASE"), defaultLease.String())); err != nil || c.Lease < time.Second {
		return Config{}, fmt.Errorf("APTLESS_LEASE: %w", errLease)
	}
	if c.Storages, err = ParseStorages(getenv("APTLESS_STORAGES")); err != nil {
		return Config{}, err
	}
	for name, s := range c.Storages {
		if s.Profile != "" {
			return Config{}, fmt.Errorf("APTLESS_STORAGES: storage %s: a function has no profiles: put the keys into a secret, and its ARN after secret=: %w", name, driver.ErrInvalid)
		}
	}
	return c, nil
}

// defaultLease equals the default of task.Dispatcher.
const defaultLease = time.Minute

var errLease = fmt.Errorf("not a time of a second or more: %w", driver.ErrInvalid)

var errUnset = fmt.Errorf("not set: %w", driver.ErrInvalid)

// Drivers are the ports on AWS. They count their requests.
type Drivers struct {
	Blobs *Blobs
	Table *Table
	Queue *Queue

	Storages map[string]driver.Blobs // named as in app.Config.Storages

	sdk      aws.Config
	requests driver.Requests
}

// Connect makes the ports without sending a request. Region and credentials come from
// the AWS SDK's default chain.
func Connect(ctx context.Context, c Config) (*Drivers, error) {
	d := &Drivers{}
	sdk, err := load(ctx, &d.requests)
	if err != nil {
		return nil, err
	}
	d.sdk = sdk
	d.Table = &Table{name: c.Table, client: dynamodb.NewFromConfig(sdk, func(o *dynamodb.Options) {
		o.BaseEndpoint = endpoint(c.DynamoDBURL)
	})}
	buckets := map[string]string{"private": c.PrivateBucket, "public": c.PublicBucket}
	if c.DropBucket != "" {
		buckets["drop"] = c.DropBucket
	}
	d.Blobs = &Blobs{buckets: buckets,
		client: s3.NewFromConfig(sdk, func(o *s3.Options) {
			o.BaseEndpoint = endpoint(c.S3URL)
			o.UsePathStyle = c.S3URL != ""
		})}
	d.Queue = &Queue{urls: c.Queues, client: sqs.NewFromConfig(sdk, func(o *sqs.Options) {
		o.BaseEndpoint = endpoint(c.SQSURL)
	})}
	return d, nil
}

// Open is Connect with the further storages of c.
func Open(ctx context.Context, c Config) (*Drivers, error) {
	d, err := Connect(ctx, c)
	if err != nil {
		return nil, err
	}
	d.Storages, err = d.ConnectStorages(ctx, c.Storages)
	return d, err
}

// load returns the SDK's configuration with a counting HTTP client.
func load(ctx context.Context, total *driver.Requests, more ...func(*config.LoadOptions) error) (aws.Config, error) {
	sdk, err := config.LoadDefaultConfig(ctx, more...)
	sdk.Logger = logging.Nop{} // the SDK's logger warns of bodies that are not read to their end
	sdk.HTTPClient = newClient(sdk.HTTPClient, total)
	return sdk, err
}

// Counts returns the number of requests by name, for example "s3.PutObject". A batch or
// transaction of DynamoDB counts its items. Each retry of the SDK counts.
func (d *Drivers) Counts() map[string]int64 { return d.requests.Counts() }

func endpoint(url string) *string {
	if url == "" {
		return nil
	}
	return aws.String(url)
}
