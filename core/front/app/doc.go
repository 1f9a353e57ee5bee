// Package app is the composition root: it connects drivers and a Config to a handler
// for HTTP requests, a dispatcher for messages, and a tick. New lists every kind of
// task.
//
// Invariant: app makes no decision about packages; it connects.
package app
