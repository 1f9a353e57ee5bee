// Package aws implements the ports on AWS: rows in DynamoDB, objects in S3, messages in
// SQS FIFO.
//
// Stored layout:
//
//	table item    pk = "r#"+Part, sk = Sort    v = version, d = data
//	counter item  pk = "c#"+Part, sk = Sort    n = the sum
//	private bucket <key without "private/">
//	public bucket  <key without "public/">
//	metadata of objects    write = the token of the write
//
// Config is read from the environment:
//
//	APTLESS_TABLE           the table
//	APTLESS_PRIVATE_BUCKET  the bucket of private/
//	APTLESS_PUBLIC_BUCKET   the bucket of public/
//	APTLESS_QUEUE           URL of the queue
//	APTLESS_QUEUE_PUBLISH, APTLESS_QUEUE_MIRROR, APTLESS_QUEUE_CLEANUP
//	                        URLs of the queues of three classes of work
//	APTLESS_DYNAMODB_URL    endpoint of DynamoDB, if not on AWS
//	APTLESS_S3_URL          endpoint of S3, if not on AWS
//	APTLESS_SQS_URL         endpoint of SQS, if not on AWS
//	APTLESS_STORAGES        further storages to publish to; see ParseStorages
//	APTLESS_LEASE           time for which a silent worker counts as alive; 1m
//
// Invariants:
//
//  1. A version of a row, and the token in an object's metadata, is a random number of
//     exactly one write. After a lost answer, a reader can tell its own write from
//     another one.
//  2. If another write followed a write whose answer was lost, the error is errUnsure:
//     it claims neither success nor failure.
package aws
