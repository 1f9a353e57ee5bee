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
//  1. A call that returned nil has taken effect. Every later call from any process
//     sees the effect. It is durable, but for lazy changes of objects; see Lazily.
//  2. A call that returned a sentinel has changed nothing.
//  3. A call that returned any other error may or may not have taken effect.
//  4. A Write or Put of a Table first makes durable the lazy changes of the objects
//     of the same store that returned before it began. So a power failure leaves no
//     row without the objects that its writer had stored.
package driver
