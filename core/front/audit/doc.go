// Package audit records which principal changed or tried what. It owns the records.
//
// Stored layout:
//
//	audit-<yyyy-mm-dd> / <time>-<stream>-<number>   a Record as JSON
//	auth / audit                                    the last day whose records were removed
//
// # Invariants
//
//  1. Together. The record of a task is in the transaction that admits the task,
//     and the record of a changed token in the transaction of the token.
//  2. Chain. A record has the SHA-256 of its own content and that of the record
//     before it in its stream. Numbers of a stream have no gap. Verify finds a
//     record that was changed, removed or put between others.
//  3. Streams. A stream has one writer at a time, which numbers its next record only
//     when the one before it is stored. So a write that fails leaves no gap, and no
//     writer waits for another.
//  4. No secrets. A record has neither header values, bodies nor queries.
//  5. Bounded refusals. Of one source, 10 refusals a minute are recorded, then
//     their number.
//
// Example of 3: two calls of one process are admitted at once. Each takes a stream
// that is free and gives it back when its transaction is over.
package audit
