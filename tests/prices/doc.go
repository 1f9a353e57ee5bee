// Package prices has list prices of requests to AWS.
package prices

import "fmt"

// million are list prices of a million requests in dollars, in us-east-1. Rows have at most
// 1 KB written or 4 KB read. Names are those of driver.Requests.
func million() map[string]float64 {
	return map[string]float64{
		"s3.PutObject": 5, "s3.CopyObject": 5, "s3.ListObjectsV2": 5, "s3.ListParts": 5, "s3.CreateBucket": 5, "s3.DeleteBucket": 0,
		"s3.CreateMultipartUpload": 5, "s3.UploadPart": 5, "s3.UploadPartCopy": 5, "s3.CompleteMultipartUpload": 5,
		"s3.GetObject": 0.4, "s3.HeadObject": 0.4, "s3.DeleteObjects": 0, "s3.AbortMultipartUpload": 0,
		"dynamodb.TransactWriteItems": 1.25, "dynamodb.PutItem": 0.625, "dynamodb.UpdateItem": 0.625, "dynamodb.DeleteItem": 0.625, "dynamodb.BatchWriteItem": 0.625,
		"dynamodb.GetItem": 0.125, "dynamodb.BatchGetItem": 0.125, "dynamodb.Query": 0.125, "dynamodb.CreateTable": 0, "dynamodb.DescribeTable": 0, "dynamodb.DeleteTable": 0,
		"sqs.SendMessage": 0.5, "sqs.ChangeMessageVisibility": 0.5, "sqs.ReceiveMessage": 0.5, "sqs.DeleteMessage": 0.5,
		"sqs.CreateQueue": 0.5, "sqs.DeleteQueue": 0.5, "sqs.GetQueueAttributes": 0.5,
	}
}

// Dollars returns the price of a million times some requests. The error names requests
// without a price.
func Dollars(requests map[string]int64) (sum float64, err error) {
	prices := million()
	for kind, n := range requests {
		price, ok := prices[kind]
		if !ok {
			err = fmt.Errorf("%s has no price", kind)
		}
		sum += price * float64(n)
	}
	return sum, err
}
