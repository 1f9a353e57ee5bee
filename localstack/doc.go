// Package localstack is the folder of what stands in for AWS on one machine:
//
//	install.sh      fetches the parts, of pinned versions, into a cache folder
//	pom.xml         DynamoDB Local and ElasticMQ
//	tools/          versitygw, in a module of its own
//	services/       starts and stops them
//
// Nothing of it is part of what is deployed.
package localstack
