package paths

import "strings"

// Values of Cache-Control: of a file that never changes, of one that does, and of
// a package file. The name of a package file may become that of another file, when
// it is replaced by force or published anew. No cache may change the bytes on
// their way (RFC 9111 5.2.2.6): clients compare them with a signed digest.
const (
	Immutable = "public, max-age=31536000, immutable, no-transform"
	Mutable   = "public, max-age=0, s-maxage=30, no-transform"
	Pooled    = "public, max-age=3600, no-transform"
)

// CacheControl returns the header for a file of a published tree by its path.
func CacheControl(name string) string {
	_, byDigest := Digest(name)
	switch {
	case strings.Contains(name, "/by-hash/"), byDigest:
		return Immutable
	case strings.Contains(name, "/pool/"):
		return Pooled
	}
	return Mutable
}
