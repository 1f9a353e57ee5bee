// Package debtest builds Debian packages for tests and demonstrations: binary
// packages, source packages and the .changes that name them. It needs no tools
// of Debian, and writes nothing outside memory.
//
// Invariant: what it returns depends on its arguments alone, byte for byte.
// Arguments that make no package are a mistake of the test: they panic.
package debtest
