// Package localstack runs what is deployed to AWS on one machine: the programs
// of the Lambda functions as template.yaml declares them, on what stands in for
// DynamoDB, S3 and SQS.
//
//	install.sh      fetches the parts, of pinned versions, into a cache folder
//	pom.xml         DynamoDB Local and ElasticMQ
//	tools/          versitygw, in a module of its own
//	services/       starts and stops them
//	host/           runs functions as Lambda does, with the events of the template
//	serve/          the command: all of it until it is interrupted
//
// Nothing of it is part of what is deployed.
package localstack
