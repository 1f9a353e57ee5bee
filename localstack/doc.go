// Package localstack runs the AWS deployment on one machine. It runs the programs of the
// Lambda functions as template.yaml declares them, on substitutes for DynamoDB, S3 and SQS.
//
//	install.sh      downloads the substitutes, of pinned versions, into a cache folder
//	pom.xml         DynamoDB Local and ElasticMQ
//	tools/          versitygw, in its own Go module
//	services/       starts and stops the substitutes
//	host/           runs functions as Lambda does, with the events of the template
//	serve/          the command that runs all of it until it is interrupted
//
// No part of this folder is deployed.
package localstack
