// Package driver owns the ports: all that aptless requires of its storage.
//
// There are three ports, each at the level of a service. Blobs is S3 objects, Table
// is DynamoDB transactions with conditions, Queue is an SQS FIFO queue. Policy lives
// above the ports, so drivers are small and behave alike. Package drivertest has one
// suite, which every driver passes.
//
// Errors are the sentinels of this package. A driver wraps them once, with the
// operation that failed. Callers test them with errors.Is and errors.As.
//
// # Invariants
//
//  1. A call that returned nil has taken effect, durably. Every later call from
//     any process sees the effect.
//  2. A call that returned a sentinel has changed nothing.
//  3. A call that returned any other error may or may not have taken effect.
package driver
