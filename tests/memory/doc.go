// Package memory holds that a process stays within its memory, whatever is
// uploaded. It is a package of its own, so that nothing else counts.
package memory
