// Package lambda owns the three events by which AWS Lambda calls aptless. A request of API
// Gateway (HTTP API, payload format 2.0) becomes a request to an http.Handler. A delivery
// of SQS becomes a message for a driver.Handler. The schedule becomes a tick.
//
// Time. Lambda kills a function at its timeout and freezes the process after an answer. So
// the context of every call ends margin before the timeout, and no goroutine of a call
// outlives its answer.
//
// Visibility. The queue hides a delivered message for longer than the timeout of the
// function. That is too long a wait after the death of a worker. A worker therefore
// begins by hiding its message for Hidden only, and repeats this every third of Hidden.
// Hidden is longer than the lease of an attempt (task.Dispatcher.Lease), so the next
// delivery finds an expired lease:
//
//	heartbeat of the lease < lease < Hidden < timeout of the function < visibility of the queue
//
// Invariant: a message is acknowledged only if its handler has acknowledged it.
package lambda
