package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// visibility is the queues' visibility timeout in seconds. It applies until a worker sets
// its own.
const visibility = "60"

// Create makes the table, the buckets and a queue for each class of work, unless they
// exist. It is for substitutes of AWS: on AWS template.yaml creates them. The names of
// the queues begin with prefix.
func (d *Drivers) Create(ctx context.Context, prefix string, classes ...string) error {
	_, err := d.Table.client.CreateTable(ctx, &dynamodb.CreateTableInput{TableName: &d.Table.name, BillingMode: dynamodbtypes.BillingModePayPerRequest,
		AttributeDefinitions: []dynamodbtypes.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: dynamodbtypes.ScalarAttributeTypeS},
			{AttributeName: aws.String("sk"), AttributeType: dynamodbtypes.ScalarAttributeTypeS},
		},
		KeySchema: []dynamodbtypes.KeySchemaElement{
			{AttributeName: aws.String("pk"), KeyType: dynamodbtypes.KeyTypeHash},
			{AttributeName: aws.String("sk"), KeyType: dynamodbtypes.KeyTypeRange},
		}})
	if there := (*dynamodbtypes.ResourceInUseException)(nil); err != nil && !errors.As(err, &there) {
		return fmt.Errorf("table %s: %w", d.Table.name, err)
	}
	for _, bucket := range d.Blobs.buckets {
		_, err := d.Blobs.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
		if there := (*types.BucketAlreadyOwnedByYou)(nil); err != nil && !errors.As(err, &there) {
			return fmt.Errorf("bucket %s: %w", bucket, err)
		}
	}
	for _, class := range classes {
		out, err := d.Queue.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(prefix + "-" + class + ".fifo"),
			Attributes: map[string]string{"FifoQueue": "true", "VisibilityTimeout": visibility}})
		if err != nil {
			return fmt.Errorf("queue %s: %w", class, err)
		}
		d.Queue.urls[class] = aws.ToString(out.QueueUrl)
	}
	return nil
}
