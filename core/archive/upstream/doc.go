// Package upstream reads other servers' archives: Release files, the listed
// indexes, and package files. It stores nothing. All network access goes through
// a Fetcher, which allows or forbids servers, retries and resumes.
//
// Invariants:
//
// 1. Nothing counts unverified: a trusted key signs Release, Release has the
// digest of each index, and an index that of each file. Only options of the
// client relax this.
//
// 2. If a stream does not have the expected size and digests, its reader returns
// an error before io.EOF.
//
// 3. No path from upstream leads out of the archive's root.
package upstream
