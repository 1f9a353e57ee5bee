// Package lambda owns the three events by which AWS Lambda calls aptless, and
// what each of them becomes: a request of API Gateway (HTTP API, payload format
// 2.0) one for an http.Handler, a delivery of SQS one for a driver.Handler, and
// the schedule a tick. It knows nothing of what they do.
//
// Time. Lambda kills a function at its timeout, and freezes the process as soon
// as an answer is given. So the context of every call ends margin before that,
// and nothing that was started goes on behind an answer.
//
// How long a message stays hidden follows from how a worker may die. The queue
// hides what it delivers for six times the timeout of the function, which is
// far too long to wait for a worker that died: the first thing a worker does is
// to hide its message for Hidden only, and it does so again every third of it.
// Hidden is longer than the lease of an attempt (task.Dispatcher.Lease), so the
// next delivery finds the lease run out:
//
//	beat of the lease < lease < Hidden < timeout of the function < visibility of the queue
//
// Invariant: a message is acknowledged only if its handler said so.
package lambda
