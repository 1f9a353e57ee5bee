// Package boot makes the application of a Lambda function: environment, drivers, app, in
// this order, once for a process.
//
// Invariants:
//
//  1. The runtime of Lambda starts first. A later failure is reported in the log and in an
//     answer or a task, and the next call tries again. Example: a worker whose signing
//     key is missing runs its tasks as soon as the key exists.
//  2. A worker hides its message before it makes the application. A message then comes
//     again after seconds instead of the queue's visibility timeout.
//  3. A task whose worker cannot start has the reason as its error. It stays queued and is
//     never given up, because no part of it has run.
package boot
