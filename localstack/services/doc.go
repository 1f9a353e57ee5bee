// Package services starts the substitutes for AWS on this machine: DynamoDB Local,
// versitygw for S3, and ElasticMQ for SQS. They use free ports of the loopback address
// and one data folder.
//
// versitygw differs from S3 in three ways. It ignores the conditions of copies. It may
// refuse an object while the object's folder is being removed. It answers a read during
// a change with the bytes of one object and the ETag of another. Requests therefore pass
// front, which serialises changes and starts of reads, and checks the conditions of copies.
//
// Invariant: Stop stops every started process, also after an error.
package services
