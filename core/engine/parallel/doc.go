// Package parallel runs work in several goroutines, and bounds the memory that
// such work holds at once. It owns no storage.
//
// # Work
//
// Each and Group share work among a number of workers. Results gives results in
// the order of the arguments, Pipe uses them in that order while later ones are
// made. Start runs one function beside its caller.
//
// Invariants:
//
//  1. No goroutine outlives the call that joins it: Each, Results, Run, Pipe.Run,
//     Group.Wait and Call.Result return when all that they started has ended.
//  2. The error is the fault, never its echo. When work fails, the context of the
//     others is cancelled; the `context canceled` that they return is dropped.
//     When the caller's context ends, the error is the cause of that.
//  3. A panic in a worker is an error, a *PanicError. It does not end the process.
//
// # Memory
//
// A Budget is a number of bytes. Work acquires the bytes that it is about to hold
// and releases them afterwards.
//
// Invariants:
//
//  4. Leases are granted in the order of the requests. Small ones do not overtake a
//     large one.
//  5. A request for more than the whole budget is granted when nothing else is held.
//  6. Holders never deadlock. A holder has one lease and grows it if needed, but
//     never acquires a second one. The bytes for growth are separate, and one
//     holder at a time has them.
//
// A Mutex may be held during calls of the storage, and the function of a Once may make some.
package parallel
