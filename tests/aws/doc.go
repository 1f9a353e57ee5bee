// Package aws tests the ports on AWS, and aptless on them, with the substitutes of
// localstack on this machine.
package aws
