// Package api is aptly's REST API over HTTP, and the published trees beside it.
//
// It owns routes, the decoding of requests, and the encoding of answers and errors.
// It stores nothing: a handler checks a request and admits a task.
//
// Invariants:
//  1. A refused request has changed nothing.
//  2. A refusal has one of the forms that clients of aptly know (statusOf, Router.fail).
//  3. Every body, form and path parameter has a bound on its size.
//  4. Every route below /api is described in operations.go.
package api
