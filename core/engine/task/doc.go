// Package task runs the work that requests ask for: one at a time per
// resource, to its end, whoever dies on the way.
//
// Stored layout:
//
//	task / <number, 16 digits>            the Task as JSON
//	lock / <resource>                     see package lock
//	counter task / next                   the last number given
//	private/tasks/<number>/args, output, value  arguments, outputs and values too large for the row
//
// A task's life:
//
//	Admit ──► Idle ──► Running ──► Succeeded
//	           ▲        │  ▲  └───► Failed
//	           │        ▼  │
//	           │      Save: cursor, output, rows, lease   (any number of times)
//	           └──────── Relock: other resources, at the end of their queues
//
// Each arrow is one Write: the task's row at the version that this attempt
// wrote last, together with everything the arrow changes: queue entries when
// it is admitted, the domain's rows when it saves, rows and queue entries when
// it ends. So an attempt that was given up for dead can change nothing, a task
// has its effect once, and whoever runs next sees all of it.
//
// A message carries the number of a task and nothing else. A delivery whose
// turn it is not puts the message back and leaves its receipt in the row, for
// whoever ends the tasks before it to wake it; if a task before it has not
// started and waits in the same group, that one is run first, so the order in
// which messages were sent does not matter.
package task
