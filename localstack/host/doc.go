// Package host runs the programs of Lambda functions on one machine, as Lambda
// does: each in processes of its own that ask the Runtime API for what to do.
//
// A process (a sandbox) works on one call at a time and is stopped between two:
// what it left running goes on in the middle of the next call, or never. There
// are as many as there are calls at the same time; each has an address of the
// Runtime API to itself. One that takes longer than the timeout of its function
// is killed, as is one that Function.Kill chooses, and the next call starts
// another.
//
// Invariant: a call is answered once, by the sandbox that got it, or fails.
package host
