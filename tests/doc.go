// Package tests checks the repository as a whole. What the tests of a package
// of their own need is below it: apt drives Debian's clients, report reads the
// outcome of a test run.
package tests
