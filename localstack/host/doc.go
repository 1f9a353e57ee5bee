// Package host runs the programs of Lambda functions on one machine, as Lambda does. Each
// program runs in its own processes, which request their calls from the Runtime API.
//
// A process (a sandbox) handles one call at a time and is stopped between two calls. A
// goroutine that outlives its call continues during the next call, or never. There are
// as many sandboxes as concurrent calls. Each has its own address of the Runtime API. A
// sandbox that exceeds its function's timeout is killed, and so is one that Function.Kill
// selects. The next call starts another one.
//
// Invariant: a call is answered once, by the sandbox that received it, or it fails.
package host
