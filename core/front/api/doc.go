// Package api is aptly's REST API over HTTP: routes, the decoding of requests,
// the encoding of answers and errors.
//
// Invariant: a request that is refused has changed nothing, and every refusal
// is answered in one of the forms that clients of aptly know.
package api
