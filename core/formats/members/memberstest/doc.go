// Package memberstest owns the readers with which tests look at what package
// packing makes: not those by which it was made.
package memberstest
