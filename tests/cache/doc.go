// Package cache is a shared cache between readers and a server, like CloudFront or a
// proxy. It keeps an answer for the time that its headers allow, and then revalidates it
// (RFC 9111).
//
// Only tests import it.
package cache
