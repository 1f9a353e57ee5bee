// Package services starts on this machine what stands in for AWS: DynamoDB
// Local, versitygw for S3 and ElasticMQ for SQS, all on free ports of the
// loopback address, with their data in one folder.
//
// versitygw ignores the conditions of copies, which S3 does not, and may refuse
// an object while the folder it is in is being removed. Front stands before it:
// it lets one change at a time through and checks what versitygw does not.
//
// Invariant: what was started is stopped by Stop, also after an error.
package services
