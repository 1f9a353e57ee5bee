// Package driver owns the ports: all that aptless asks of the world.
//
// There are three, each at the height of the hardware behind it: an S3 object
// (Blobs), a DynamoDB transaction with conditions (Table), a message of an SQS
// FIFO queue (Queue). Policy lives above them, so a driver is small and every
// driver behaves alike: package drivertest holds the one suite that each of
// them passes.
//
// Errors are the sentinels of this package, wrapped once by the driver with
// what was attempted; callers test them with errors.Is and errors.As.
//
// Invariant: a call that returned nil has happened, durably, and is seen by
// every later call from anywhere. A call that returned an error may or may not
// have happened, except where the error is one of the sentinels, which promise
// that it did not.
package driver
