// Package lock decides whose turn it is and fences what is written.
//
// Stored layout: one row per resource that somebody holds or waits for,
//
//	lock / <resource>   the queue: tasks in the order of their admission, each with its mode
//
// which is created by the first task that names the resource and deleted with
// the last. A task is appended to the queues of all its resources by the
// transaction that creates it, so every two tasks that meet on several
// resources stand in the same order on all of them: there is no deadlock, and
// nobody waits for ever.
//
// Invariant: a task acts only while, on each resource it named, nobody before
// it in the queue conflicts with it; it leaves all queues in the transaction
// that ends it.
//
// Tx is the other half: it remembers the version of every row that was read
// and conditions the final write on all of them.
package lock
