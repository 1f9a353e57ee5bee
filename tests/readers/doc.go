// Package readers tests that whoever reads a repository that changes all the
// time is never worse off for it: with thousands of publications, publishers
// that die at random, and readers that do what apt does, directly and through
// proxies that keep what they may.
//
// It is a model: memory in place of storage, a clock that is moved, and readers
// that come to turn between the calls that a publisher makes of its storage. A
// seed gives about the same run again: publishers do several things at a time.
package readers
