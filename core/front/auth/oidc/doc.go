// Package oidc verifies the ID tokens of OpenID Connect by which a job of a CI system
// proves its identity. It reads and keeps the keys of issuers. It stores nothing.
//
// Sources: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7519 (JWT), OpenID Connect Core 1.0 and
// OpenID Connect Discovery 1.0.
//
// # Invariants
//
//  1. Nothing is fetched for an issuer that the caller does not accept.
//  2. The allowed algorithms are given to the parser. A token cannot choose another one,
//     and no key in a token is looked at.
//  3. A token has one ID, however its text is written: the digest of its issuer and jti.
//     Without jti it is the digest of header and payload. A signature can be varied.
//  4. Keys are read at most once a minute for each issuer on account of tokens with an
//     unknown kid.
package oidc
