// Package drivertest owns what tests need of drivers: Memory, the ports in
// memory; Faults, a wrapper that fails chosen calls; Outage, which makes it fail
// all calls of a kind for some time; Sweep, which fails each call of a journey in
// turn; and Run, the suite that every driver passes.
//
// It is imported by tests only.
//
// Memory behaves as AWS does, also where that is inconvenient: an ETag depends
// on the bytes alone, an object cannot be copied to itself, a hint to wake a
// message that is being handled is lost, a receipt dies with its delivery, and
// an ID that was sent in the last five minutes is dropped although its message
// is long handled. And it refuses what drivers that keep files refuse: a key
// that is a leading path of another.
//
// Invariant: with the same calls in the same order, Memory, Faults and Step
// give the same results.
package drivertest
