// Package apptest is the test kit for a whole aptless: processes on storage that the
// test owns, requests to them, and views of the results.
//
// Only tests import it, from the external test packages of every storey.
//
// A test has one of two kinds of process:
//
//   - Start makes one on the simulated world of a drivertest.Env. Requests are
//     answered with their task, and Drain runs the queue. The clock moves only when
//     the test or a sleep of the process moves it. A process is discarded when a
//     call of it fails; another one is started on the same Env.
//   - New and Serve make one whose requests wait for their tasks. Workers run the
//     tasks. EachDriver runs a test with such a process on every kind of storage.
//     EachScheme runs one with a closed process and a token.
//
// Requests have two styles. Do, Upload and Step return an error. Ask, Want, Refused
// and Must take the test and report to it.
package apptest
