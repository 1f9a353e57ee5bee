// Package auth authenticates callers and decides whether a caller has a permission. It
// owns tokens, grants and the mode of an installation.
//
// Stored layout:
//
//	auth / state                  the Mode as JSON; no row means open
//	auth-token / <64 hex digits>  a Token as JSON, by the SHA-256 of its secret
//	auth-name / <name>            the digest of the newest token of that name, as JSON
//	auth-used / <ID>              a Use as JSON: the last use of a token, to the hour
//	auth-binding / <name>         a Binding as JSON
//	auth-policy / <name>          a Policy as JSON
//	auth-jti-<day> / <digest>     an ID token that was exchanged, by the day of its expiry
//	auth / access                 the Private prefixes as JSON
//	auth / edge                   the Edge has the values of before this row
//	auth-edge / <key>/<random>    a key of the Edge whose value has to be written
//	auth / jti                    the last day whose marks of ID tokens were removed
//
// # Invariants
//
//  1. Secrets. No row, error, principal or log has a secret. They have its SHA-256 at
//     most. The answer that creates a token has the secret. Other answers have the
//     first 12 digits of the SHA-256: the ID.
//  2. Pure decision. Decide reads no clock, no table and no context. It looks at
//     the grants of a principal and at names, never at objects. So a refusal is
//     the same whether an object exists or not.
//  3. No default. A permission that no grant has is refused. The permission
//     kind.manage implies all permissions of the kind on that name. No other
//     permission implies another.
//  4. Some name. A need on some name is for a name that is known later. The worker
//     decides on that name again.
//  5. All names. The name * stands for all names. Only a pattern of stars matches it.
//  6. Revocation. A process forgets a token before its own call that changes the token
//     returns. Another process forgets the token after Store.Fresh.
//  7. Failing closed. If the table does not answer, a token that memory does not have
//     is refused with 503.
//  8. Order. Authenticate checks the form and checksum of a secret first. Then it
//     compares the secret with the token of the environment, and looks into memory.
//     The limit of failures comes next. At last it reads at most one row.
//  9. Sticky. Only Store.Open opens a closed installation, and no server calls it.
//  10. Once. The row of a short token, the mark of its ID token and the check of its
//     policy are one transaction.
//
// Example of 6: a process begins to read the row of a token, and the same process
// revokes the token. The read answers its one call by the row it has read, and
// remembers nothing.
package auth
