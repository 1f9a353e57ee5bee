// Package lock owns the queues of tasks for resources, and the transactions that
// tasks write.
//
// Stored layout: one row for each resource that a task holds or waits for,
//
//	lock / <resource>   the queue: tasks in the order of their admission, each with its mode
//
// The first task that names the resource creates the row, and the last one
// deletes it.
//
// # Invariants
//
//  1. A task joins the queues of all its resources in the transaction that creates
//     it. So two tasks with several common resources have the same order in all
//     queues. There is no deadlock, and no task waits for ever.
//  2. A task holds its locks while, in each of its queues, no task before it
//     conflicts with it. Two tasks conflict unless both share the resource.
//  3. A task leaves all queues in the transaction that ends it, or joins others in
//     the transaction that leaves them.
//  4. A queue has at most 1,000 tasks: ErrTooMany refuses further ones.
//
// Example of 1: task 7 wants a and b, task 8 wants b and a. Both queues are 7, 8.
// Task 8 waits until 7 has left both.
//
// Tx remembers the version of every row that was read, and conditions the final
// write on all of them.
package lock
