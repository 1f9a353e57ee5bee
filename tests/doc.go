// Package tests tests the program and the repository as a whole. Helpers have their own
// packages below it: apt drives Debian's clients, report summarises a test run.
package tests
