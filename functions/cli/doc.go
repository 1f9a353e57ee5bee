// Package cli is the command line of clients: the verbs and flags of aptly against a
// server, and commands of its own. It owns the file of profiles and stores nothing else.
//
// Invariants:
//
//  1. Data goes to stdout. Errors, notes and progress go to stderr.
//  2. In a pipe no escape byte is written, lists have tabs and no header, and columns are
//     only ever added at the end.
//  3. The exit code is that of exit.go. Under the name aptly it is 0, 1, 2 or 130.
//  4. A token is in no flag, no output and no request to another host.
//  5. A flag that restricts trust, and that the server cannot honour, ends the command.
package cli
