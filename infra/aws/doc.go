// Package aws is the ports on AWS: rows in DynamoDB, objects in S3, messages in
// SQS FIFO.
//
// Stored layout:
//
//	table item    pk = "r#"+Part, sk = Sort    v = version, d = data
//	counter item  pk = "c#"+Part, sk = Sort    n = the sum
//	private bucket <key without "private/">
//	public bucket  <key without "public/">
//	metadata of objects    write = the write that made it
//
// Config is read from the environment:
//
//	APTLESS_TABLE           the table
//	APTLESS_PRIVATE_BUCKET  the bucket of private/
//	APTLESS_PUBLIC_BUCKET   the bucket of public/
//	APTLESS_QUEUE           the queue's URL; and for the classes of work that have their own
//	APTLESS_QUEUE_PUBLISH, APTLESS_QUEUE_MIRROR, APTLESS_QUEUE_CLEANUP
//	APTLESS_DYNAMODB_URL    where DynamoDB is, if not on AWS; likewise
//	APTLESS_S3_URL          S3
//	APTLESS_SQS_URL         SQS
//	APTLESS_STORAGES        further places to publish to; see ParseStorages
//	APTLESS_LEASE           how long a worker that is silent counts as alive; 1m
//
// Invariant: a version, and the token in an object's metadata, is a random number
// that one write alone has used, so an answer that was lost is told from another
// writer's by reading what is there. Where another write followed it, the error
// says neither that this one was done nor that it was not.
package aws
