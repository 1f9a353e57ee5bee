// Package upstream reads what other servers publish: Release files, the
// indexes they list, and package files. It believes nothing of it: a Release
// file counts when a key that the caller trusts has signed it, an index when
// Release has its digest, and a file when an index has.
//
// It stores nothing. What goes over the network goes through a Fetcher, which
// decides which servers may be asked, tries again and resumes.
//
// Invariant: of a stream whose size or digests are not those expected, the
// reader returns an error before io.EOF. No path that upstream names leads out
// of the archive's root.
package upstream
