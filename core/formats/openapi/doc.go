// Package openapi describes an HTTP API by the Go types of its bodies. It writes
// a document of OpenAPI 3.1, and a page for people.
//
// It stores nothing and knows no particular API.
//
// Invariants:
//
// 1. A schema has the fields that encoding/json writes and reads, by the same
// names.
//
// 2. Equal descriptions give equal documents, byte for byte.
package openapi
