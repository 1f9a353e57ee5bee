// Package services starts the substitutes for AWS on this machine: DynamoDB Local,
// versitygw for S3, and ElasticMQ for SQS. They use free ports of the loopback address
// and one data folder.
//
// versitygw differs from S3 in two ways. It ignores the conditions of copies, and it may
// refuse an object while the object's folder is being removed. Requests therefore pass
// front, which serialises changes and checks the conditions of copies.
//
// Invariant: Stop stops every started process, also after an error.
package services
