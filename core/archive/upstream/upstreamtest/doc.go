// Package upstreamtest has archives for tests of what mirrors them: it builds
// the tree of one in memory, signed, and serves it with faults. It needs no
// tools of Debian and no network.
//
// Invariant: a tree is one that apt would take, until the test spoils it.
package upstreamtest
