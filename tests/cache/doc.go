// Package cache is a shared cache between readers of a repository and where it is
// served, as CloudFront and proxies are: it keeps an answer for as long as its
// headers allow, and asks after that whether it is still the same (RFC 9111).
//
// It is imported by tests only.
package cache
