// Package client is a typed client of the API, of aptless and of aptly. It owns the
// addresses of the API, the waiting for tasks, the repetition of requests, and uploads.
// It stores nothing.
//
// A request is a value: a Call with the type of its answer. calls.go has one function for
// each operation. Send sends a Call, and waits for its task if it has one.
//
//	repo, err := client.Send(ctx, c, client.ShowRepo("stable"))
//
// Invariants:
//
//  1. A request that may have been executed is sent again only if that changes nothing:
//     a reading, an upload, the removal of a record.
//  2. The token goes to the server of Client.URL only, never to the address of a signed
//     upload. No error contains a token or a signed address.
//  3. The bytes of every answer are bounded.
//  4. Each error is one of four: Refusal, Unreachable, ErrWaiting, or the error of the
//     caller's context or file.
package client
