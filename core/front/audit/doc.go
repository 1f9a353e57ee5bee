// Package audit owns the records of changes and refusals: the principal, the call, the
// object and the outcome.
//
// Stored layout:
//
//	audit-<yyyy-mm-dd> / <time>-<stream>-<number>   a Record as JSON
//	auth / audit                                    the last day whose records were removed
//
// # Invariants
//
//  1. Together. The transaction that admits a task has the record of the admission.
//     The transaction that changes a token or the mode has the record of the change.
//     Other records, as of calls without a task, have transactions of their own.
//  2. Chain. A record has the SHA-256 of its own content and that of the record
//     before it in its stream. Numbers of a stream have no gap. Verifier finds a
//     record that was changed, removed or put between others. It cannot find the
//     removal of the last records of a stream.
//  3. Streams. A stream has one writer at a time. The writer numbers a record after
//     the record before it is stored. A write that fails ends its stream. So it
//     leaves no gap, and no writer waits for another.
//  4. No secrets. A record has neither header values, bodies nor queries.
//  5. Bounded refusals. The first 10 refusals of a source in a minute have records.
//     The others of the minute are counted in memory, and one record has their
//     number. Above 10,000 sources in a minute, the others have one counter. Numbers
//     are lost with the process.
//  6. Removal. Sweep removes whole days, the oldest first. The last transaction of a day
//     that had records has an Expired record. It has the day, the number and the last
//     removed record of each stream, so the records that are left can be verified.
//
// Example of 3: two calls of one process are admitted at once. Each takes a stream
// that is free and gives it back when its transaction is over.
package audit
