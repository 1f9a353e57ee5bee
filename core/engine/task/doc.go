// Package task runs the work that requests ask for. It runs tasks on one resource
// one after another, each to its end, whatever dies on the way.
//
// Stored layout:
//
//	task / <number, 16 digits>       the Task as JSON
//	counter task / next              the last number given
//	lock / <resource>                see package lock
//	calendar / <name>                debts; see package calendar
//	private/tasks/<number>/args                       arguments too large for the row
//	private/tasks/<number>/output-<attempt>-<write>   output too large for the row, in parts
//	private/tasks/<number>/value-<attempt>-<write>    a result too large for the row
//	private/tasks/<number>/debt-<attempt>-<n>         arguments of a debt, likewise
//
// docs/states.md draws the states of a task.
//
// # Invariants
//
//  1. Admission. The row of a task and its places in the queues of its locks are
//     one Write. A task that exists runs, whatever happens to its caller.
//  2. Fencing. Every write of an attempt is conditioned on the version of the
//     task's row that the attempt wrote last. An attempt that was overtaken
//     changes nothing. Attempt.Write fences the writes of other rows too.
//  3. Lease. An attempt begins only if no other one can be alive: the lease of
//     another process has expired, or its slice has ended (no Owner), or this
//     process is alone on the storage.
//  4. Commit. Before the commit a task may fail; what it has left is removed by
//     its Undo, before its locks are given back. From the commit on it never
//     becomes Failed. The commit's transaction writes what is owed.
//  5. Debts. A debt is a calendar entry until the transaction that pays it. The
//     task tries to pay for Dispatcher.Patience, then the tick admits the task
//     that the debt names, again and again until it is paid. An Undo that does
//     not end within Dispatcher.Outage becomes a debt too.
//  6. Budgets. Deaths without progress: 5. Errors without progress:
//     Dispatcher.Outage. Progress is a cursor of other bytes. Back-off is decided
//     here and obeyed by the queues.
//  7. End. The end of a task, its rows and its leaving the queues are one Write.
//  8. Bounds. Every text from outside is cut, with a mark, before it enters the
//     row. Whether a value is inline is decided by its encoded size.
//
// Example of 4 and 5: a publication stages its indexes, commits its row together
// with the debt "publish/:./stable", and applies the row to the tree. The disk is
// full for an hour. After half a minute the task ends Succeeded with a warning.
// The tick admits the debt's task after 1, 2, 4 … minutes. The first one that
// finds room applies the tree and pays.
//
// # Files
//
// References between files run down this list, never up:
//
//	tick.go, wait.go, cancel.go   calls of the tick and of clients
//	dispatch.go                   a message arrives: does its task run now?
//	run.go                        one attempt, from the row's first write on
//	outcome.go                    an attempt has ended: again, later, or for good?
//	end.go                        the last write of a task
//	commit.go                     Save, Checkpoint, Commit: the calls of a running task
//	debt.go, write.go             the rows that these calls write
//	kind.go, call.go              the functions that a task runs
//	admit.go                      a task and its places in the queues
//	attempt.go, store.go          what an attempt and the store of tasks are
//	task.go, text.go, retry.go    the row, its bounds, pauses
//
// # Messages
//
// A message carries the number of a task and nothing else. A delivery whose task
// has to wait puts the message back and leaves its receipt in the row: the end of
// the task ahead wakes it. If the task ahead has no live attempt and waits in the
// same group, the delivery runs it first, so the order of messages does not
// matter. A message that was lost is sent again by the tick when its task is at
// the head of all of its queues.
package task
