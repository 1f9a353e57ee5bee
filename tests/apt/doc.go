// Package apt reads published repositories as Debian's clients do. Client runs the real
// apt with its own root folder, or the apt of another Debian if the variable System is
// set. GPGV runs the real gpgv. Tree reads a published tree and checks all of it.
//
// Only tests import it. It shares no code with the tested program: it has its own parser
// of Release, Packages and Sources.
//
// Invariant: of the host only programs are used. Two Clients share no state.
package apt
