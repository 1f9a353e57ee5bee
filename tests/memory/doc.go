// Package memory tests that a process stays within its memory budget for any upload. It is
// a separate package, so that the process runs no other test.
package memory
