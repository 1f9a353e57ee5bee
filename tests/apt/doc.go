// Package apt owns what tests need to look at a published repository as
// Debian's clients do: Client runs the real apt from a root of its own (that of
// another release of Debian, if the variable System names one), GPGV
// the real gpgv, and Tree reads a published tree and checks it all.
//
// It is imported by tests only. It shares no code with what it checks: it has
// its own reader of Release, Packages and Sources.
//
// Invariant: nothing on the host is read or changed but the programs
// themselves, and two Clients share nothing.
package apt
