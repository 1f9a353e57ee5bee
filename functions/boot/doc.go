// Package boot makes the application of a Lambda function from its environment:
// environment, drivers, app, in this order, once for a process.
//
// Invariants:
//
//  1. The runtime of Lambda starts first. What fails afterwards is told in the log
//     and in an answer or a task, and is tried again by the next call. Example: a
//     worker whose signing key is missing runs its tasks as soon as the key is there.
//  2. A worker hides its message before it makes the application, so that a message
//     comes again after seconds, and not after the visibility of its queue.
//  3. A task whose worker cannot start has the reason as its error. It waits, and is
//     not given up: nothing of it has run.
package boot
