// Package aws tests the ports on AWS, and aptless on them, against what stands
// in for AWS on this machine; see localstack.
package aws
