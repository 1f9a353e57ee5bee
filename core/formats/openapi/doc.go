// Package openapi describes an API of HTTP by the Go types of its bodies: as a
// document of OpenAPI 3.1 and as a page for people.
//
// It stores nothing and knows nothing of what it describes.
//
// Invariant: a schema has the fields that encoding/json writes and reads, by
// the names it uses. Documents of the same description are the same bytes.
package openapi
