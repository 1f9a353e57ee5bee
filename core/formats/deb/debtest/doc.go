// Package debtest builds Debian packages for tests and demonstrations: binary
// packages, source packages and their .changes. It needs none of Debian's tools
// and writes to memory only.
//
// Invariant: the result depends on the arguments alone, byte for byte. Arguments
// that describe no package panic, since they are a mistake of the test.
package debtest
