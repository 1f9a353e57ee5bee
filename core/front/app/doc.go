// Package app puts aptless together: drivers and a Config in, a handler for
// HTTP requests, one for messages and a tick out. Every kind of task is named
// in New.
//
// Invariant: nothing in it decides anything about packages; it only connects.
package app
