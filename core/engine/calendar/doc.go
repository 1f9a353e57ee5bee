// Package calendar owns the entries with a due time. They renew signatures of
// publications, update mirrors, pay debts of committed tasks, and remove old tasks.
//
// Stored layout: one row per entry,
//
//	calendar / <name>   the Entry as JSON
//
// Names begin with a word for their subject: "publish/<storage>:<prefix>/<dist>",
// "mirror/<uuid>". The partition is small, and every tick reads it once.
//
// Invariants:
//
//  1. An entry is written in the transaction that makes it necessary, and
//     removed in the transaction that makes it unnecessary. Neither can be lost.
//  2. A due entry is claimed by moving Due on, conditioned on the version that
//     was read. Of two ticks that read the same entry one claims it.
//  3. The claim and the admission of the entry's task are one transaction. The
//     entry names the task, so the next tick does not admit a second one while
//     the first has not ended.
//  4. A claim never removes an entry. If the claimer or the task dies, the entry
//     is due again at the time to which the claim moved it.
//
// Example of 2: ticks A and B read an entry that was due at 12:00. A moves it
// to 12:01 and admits the task. B's transaction fails on the version, so B
// admits nothing.
package calendar
