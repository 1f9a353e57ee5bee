// Package awsreal tests aptless against AWS itself: "make test-aws-real". Its tests have the
// build tag awsreal, because they need credentials and cost some cents.
//
// TestDrivers, TestCopiesRace and TestWake use a table, two buckets and a queue of their own,
// and delete them. TestJourney uses a deployed stack. At the end the requests are printed
// with their price.
package awsreal
