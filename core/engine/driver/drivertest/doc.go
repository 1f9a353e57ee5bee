// Package drivertest owns the tests' tools for drivers. Only tests import it.
//
//   - Run is the suite that every driver passes.
//   - Memory is the three ports in memory.
//   - Faults is a wrapper that fails chosen calls.
//   - Direct is a wrapper with signed uploads.
//   - Outage makes Faults fail all calls of a kind for some time.
//   - Sweep fails each call of a journey in turn.
//
// Memory behaves as AWS does where AWS is inconvenient:
//
//   - An ETag depends on the bytes alone.
//   - An object cannot be copied to itself.
//   - A Wake for a message that is being handled is lost.
//   - A receipt is valid for one delivery only.
//   - Send drops an ID that was sent in the last five minutes, even after the first
//     message was handled.
//
// Like drivers that store files, it refuses a key that is a leading path of another.
//
// Invariant: with the same calls in the same order, Memory, Faults and Step
// give the same results.
package drivertest
