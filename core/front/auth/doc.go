// Package auth decides which caller may do which thing. It owns tokens, grants
// and the mode of an installation.
//
// Stored layout:
//
//	auth / state                  the Mode as JSON; no row means open
//	auth-token / <64 hex digits>  a Token as JSON, by the SHA-256 of its secret
//	auth-name / <name>            the newest token of that name
//	auth-used / <ID>              the last use of a token, to the hour
//
// # Invariants
//
//  1. Secrets. A secret exists in the answer that creates it and in the client's
//     hands. Rows, errors, principals and logs have its SHA-256 at most, and
//     answers have the first 12 digits of that: the ID.
//  2. Pure decision. Decide reads no clock, no table and no context. It looks at
//     the grants of a principal and at names, never at objects. So a refusal is
//     the same whether an object exists or not.
//  3. No default. A permission that no grant names is refused. manage implies all
//     of its kind on that name. Nothing else implies anything.
//  4. All names. The name * stands for all names. Only a pattern of stars matches it.
//  5. Revocation. A process forgets what it remembers of a token before the call
//     that changed the token returns. Another process forgets it after Store.Fresh.
//  6. Failing closed. A table that does not answer lets no caller pass.
//  7. Order. The form and checksum of a secret are looked at first, then memory,
//     then the limit of failures. Only then is a row read, at most one.
//  8. Sticky. No start of a process opens an installation that is closed.
//
// Example of 5: a process has begun to read the row of a token when the token is
// revoked. It answers that one call by the row it has read, and remembers nothing.
package auth
