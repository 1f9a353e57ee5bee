// Package task runs the work that requests ask for. It runs tasks on one resource
// one after another, each to its end, also if processes die on the way.
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
//     one Write. A task that exists runs, even if its caller is gone.
//  2. Fencing. Every write of an attempt is conditioned on the version of the
//     task's row that the attempt wrote last. An attempt that was overtaken
//     changes nothing. Attempt.Write fences the writes of other rows too.
//  3. Lease. An attempt begins only if no other one can be alive. The lease of the
//     other process has expired, or its slice has ended (no Owner), or this process
//     is alone on the storage.
//  4. Commit. Before the commit a task may fail. Its Undo then removes its traces
//     before its locks are released. From the commit on it never becomes Failed.
//     The commit's transaction writes the debts.
//  5. Debts. A debt is a calendar entry until the transaction that pays it. The
//     task tries to pay for Dispatcher.Patience. Then the tick admits the debt's
//     task again and again until it is paid. An Undo that does not end within
//     Dispatcher.Outage becomes a debt too. The end of a task admits the tasks of
//     its debts that are due at once.
//  6. Budgets. Deaths without progress: 5. Errors without progress:
//     Dispatcher.Outage. Progress is a cursor with other bytes. This package sets
//     the back-off, and the queues obey it.
//  7. End. The end of a task, its rows and its leaving the queues are one Write.
//  8. Bounds. Every text from outside is cut, with a mark, before it enters the
//     row. Whether a value is inline is decided by its encoded size.
//
// Example of 4 and 5: a publication stages its indexes, commits its row together
// with the debt "publish/:./stable", and applies the row to the tree. The disk is
// full for an hour. After half a minute the task ends Succeeded with a warning.
// The tick admits the debt's task after 1, 2, 4 … minutes. Once the disk has room,
// that task applies the tree and pays.
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
//	claim.go                      an entry of the calendar becomes a task
//	commit.go                     Save, Checkpoint, Commit: the calls of a running task
//	debt.go, write.go             the rows that these calls write
//	kind.go, call.go              the functions that a task runs
//	admit.go                      a task and its places in the queues
//	attempt.go, store.go          what an attempt and the store of tasks are
//	task.go, text.go, retry.go    the row, its bounds, pauses
//
// # Messages
//
// A message carries only the number of a task. The delivery of a waiting task puts
// the message back and leaves its receipt in the row. The end of the earlier task
// wakes it. If the earlier task has no live attempt and waits in the same group, the
// delivery runs it first. If that one waits, too, its row gets the receipt. So the order
// of messages does not matter, and a group waits only for the locks of its tasks. The
// tick sends a lost message again when its task is at the head of all of its queues.
package task
