// Package apptest owns what tests need of a whole aptless: a process on storage
// that the test owns, requests to it, and views of the results.
//
// It is imported by tests only, from the external test packages of every storey.
//
// A test has one of two kinds of process:
//
//   - Start makes one on the simulated world of a drivertest.Env. Requests are
//     answered with their task, and Drain runs the queue. The clock moves only
//     when the test, or a sleep of the process, moves it. A process is discarded
//     when a call of it fails; another one is started on the same Env.
//   - New and Serve make one whose requests wait for their tasks, which workers
//     run. EachDriver runs a test with such a process on every kind of storage.
//
// Requests come in two manners. Do, Upload and Step return an error. Ask, Want,
// Refused and Must take the test and report to it.
package apptest
