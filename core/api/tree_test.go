package api

import (
	"strings"
	"testing"
)

func TestCacheControl(t *testing.T) {
	for key, want := range map[string]string{
		"public/dists/stable/InRelease":                                              "public, max-age=0, s-maxage=30",
		"public/dists/stable/main/binary-amd64/Packages.gz":                          "public, max-age=0, s-maxage=30",
		"public/dists/stable/main/binary-amd64/by-hash/SHA256/abc0":                  "public, max-age=31536000, immutable",
		"public/team/pool/main/h/hello/hello_1.0_amd64.deb":                          "public, max-age=3600",
		"/team/pool/sha256/ab/ab" + strings.Repeat("0", 62) + "/hello_1.0_amd64.deb": "public, max-age=31536000, immutable",
		"/team/pool/sha256/ab/hello_1.0_amd64.deb":                                   "public, max-age=3600",
	} {
		if got := CacheControl(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}
