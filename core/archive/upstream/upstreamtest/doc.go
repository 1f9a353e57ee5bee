// Package upstreamtest has archives for tests of mirrors. It builds a signed
// archive in memory and serves it with faults. It needs none of Debian's tools
// and no network.
//
// Invariant: apt accepts a tree until the test damages it.
package upstreamtest
