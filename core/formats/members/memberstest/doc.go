// Package memberstest owns the readers with which tests look at what package
// members makes: not those by which it was made.
package memberstest
