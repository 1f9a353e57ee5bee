// Package simulation runs the production core in a simulated world. The handler, the
// workers and the tick of several processes share a table, an object store and a queue.
//
// One seed is one run. A run is in a bubble of testing/synctest, so its time is
// simulated. Each call of a port parks at the scheduler. When every goroutine of the
// bubble is blocked, the scheduler sorts the parked calls by process and name. The seed
// chooses the call that goes on, and whether it fails, is delayed or has no answer.
//
//	plan.go               a plan: the seed, sizes, kinds of faults; the numbers drawn from a seed
//	focus.go              biases of plans: rare meetings are frequent in runs with a focus
//	world.go              the scheduler
//	fate.go               which fault meets a call
//	call.go, blobs.go, table.go  a call of a port
//	edge.go               signed uploads, and the values that another server of the files reads
//	queue.go              the queue and its deliveries
//	process.go            processes: start, crash, freeze
//	power.go              a failure of the power
//	client.go, mixes.go, operations.go, families.go, wide.go, thin.go, scripts.go  clients and their requests
//	history.go            changes and reads as clients saw them, for porcupine
//	network.go            the archive of another server, and objects that all runs share
//	reader.go             readers: apt's algorithm
//	check.go, writes.go, heads.go, tree.go, kept.go, model.go  the invariants
//	run.go                a whole run: history, rest, last checks
//	coverage.go           counts of faults by call site and kind of task
//	report.go             sums of many runs
//	verdict.go            the faults that each kind of task has to meet
//	shrink.go             a smaller plan with the same failure
//	mutants.go, conditions.go, further.go, publications.go  the protective conditions, each removed in turn
//	killing.go, killers.go  seeds that fail then, and their table
//	switches.go           a program that has all mutants, each with a switch
//	unreached.go          call sites that no run reaches, with the reasons
//
// # Invariants that a run checks
//
//  1. After each write of a row: every reference has both ends, and each list that a
//     row names is there with its records and files.
//  2. A task takes effect once, and after every earlier task that excludes it.
//  3. The effect of a task is that of the model on the state before. So no update is lost.
//  4. After each change of a published object: every file that an InRelease or its
//     indexes name is there by hash, with its digest.
//  5. The Date of an InRelease grows, and it is never later than that of the row.
//  6. A reader by hash never meets a mixture or a missing file, and does not go back.
//  7. Changes and reads of a list are linearizable: each has its effect between its request
//     and its answer.
//  8. A living attempt is not overtaken, and no other process writes for an attempt. An
//     overtaken one makes no fenced write.
//  9. A task changes rows on the base of the rows of sources as they are.
//  10. An index stays by hash for 7 days after its InRelease.
//  11. After a power failure rows and InReleases name only objects that are there.
//  12. At rest: each task has ended, no lock and no debt is left. After a collection the
//     store has no object and no record that no row explains.
package simulation
