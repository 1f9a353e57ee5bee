// Package proxy is an aptly API on this machine in front of a server elsewhere. Its
// clients know no tokens, no signatures and no limits of requests.
//
//	forward.go   requests are forwarded, redirects followed and tasks waited for
//	upload.go    uploaded files go directly to the storage, in parts if they are large
//	headers.go   headers that are not forwarded, and web pages that are refused
//
// Invariants:
//
//  1. Credentials go to the server only: never to a signed address, and never to a client.
//  2. Credentials and cookies of a client go nowhere.
//  3. Memory is bounded: answers and uploads are streamed, and uploads wait on disk.
//  4. A web page of another site gets no answer.
package proxy
