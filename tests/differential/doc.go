// Package differential sends the same requests to Debian's aptly and to aptless, and
// compares answers and published trees field by field. It consists of tests only. aptless
// is an open server, and closed ones whose clients have a token.
//
// The requests are in tables, a file for each subject. All systems begin empty for each
// table, so a request finds the results of the requests before it. Answers are compared
// with status, media type and every field. Necessary differences are equalised first:
// times, UUIDs, the folder of aptly's data, and the order of lists that aptly does not
// sort. Any other difference fails the test unless accepted_test.go has a reason for it.
// An unused entry there fails the test too.
//
// aptly 1.5.0 lacks parts of the API. If its command line can do the same, the test runs
// the command line on one side and the request on the other. The API is that of aptly
// 1.6.3. testdata/aptly-1.6.3.json lists the fields in which 1.6.3 differs, with both
// values and the place in aptly's source. An unused entry fails the test.
package differential
