// Package differential sends the same requests to Debian's aptly and to the
// program of this repository, and compares the answers and the published trees
// field by field. It is a test and nothing else: everything is in its tests.
//
// The requests are in tables, a file for each subject. A request is sent to
// both systems, which begin empty for each table, so what it finds is what the
// requests before it left. Answers are compared with status, media type and
// every field. What must differ is made equal before: times, uuids, the
// folder in which aptly keeps its data, and the order where aptly has none.
// Any other difference fails the test unless accepted_test.go has it with a
// reason; an entry there that accepts nothing fails it too.
//
// aptly 1.5.0 has not all of the API: what came later is compared where its
// command line has it, by having that do on one side what a request does on
// the other. Where aptly 1.6.3, whose API is spoken, gives another answer, that is in
// testdata/aptly-1.6.3.json: of each field what either gives, with the place in
// aptly's source. An entry that no request needs fails the test.
package differential
