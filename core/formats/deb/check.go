package deb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Special values of Architecture.
const (
	AllArch    = "all"    // of packages for every architecture
	SourceArch = "source" // of source packages
)

// ErrInvalid says that a name, version, architecture, file name or digest breaks
// Debian policy.
var ErrInvalid = errors.New("invalid")

// Limits of names, in bytes. A component of an object key or a path holds at most
// 255 bytes. The pool puts the beginning of a digest before a file name, which
// needs the difference.
const (
	MaxFileNameLen     = 240
	MaxNameLen         = 200
	MaxVersionLen      = 200
	MaxArchitectureLen = 60
)

// maxEpoch is dpkg's.
const maxEpoch = 1<<31 - 1

// CheckName returns an error unless dpkg accepts the package name: letters,
// digits, '+', '-', '.' and '_', beginning with a letter or digit. Debian policy
// 5.6.1 requires two characters and forbids upper case and '_'. Third-party
// archives have such names.
func CheckName(name string) error {
	if name == "" || len(name) > MaxNameLen || !isAlnum(name[0]) || !consistsOf(name, "+-._") {
		return fmt.Errorf("%w package name %.300q", ErrInvalid, name)
	}
	return nil
}

// CheckVersion returns an error unless v is a version (policy 5.6.12). A leading
// digit is advice in the policy and not required here. '_' is accepted, since
// third-party archives have it.
func CheckVersion(v string) error {
	if len(v) > MaxVersionLen || !validVersion(v) {
		return fmt.Errorf("%w version %.300q", ErrInvalid, v)
	}
	return nil
}

func validVersion(v string) bool {
	allowed := ".+~_-"
	if epoch, rest, ok := strings.Cut(v, ":"); ok {
		if n, err := strconv.ParseUint(epoch, 10, 64); err != nil || n > maxEpoch {
			return false
		}
		v, allowed = rest, ".+~_-:"
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		revision := v[i+1:]
		if revision == "" || !consistsOf(revision, ".+~_") {
			return false
		}
		v = v[:i]
	}
	return v != "" && consistsOf(v, allowed)
}

// CheckArchitecture returns an error unless arch is the architecture of a binary
// package: a Debian architecture or "all" (policy 5.6.8). It refuses "source" and
// wildcards such as "any" and "linux-any".
func CheckArchitecture(arch string) error {
	ok := arch != "" && len(arch) <= MaxArchitectureLen && isAlnum(arch[0]) && consistsOf(arch, "-")
	if !ok || arch == SourceArch || arch == "any" || strings.HasPrefix(arch, "any-") || strings.HasSuffix(arch, "-any") {
		return fmt.Errorf("%w architecture %.100q", ErrInvalid, arch)
	}
	return nil
}

// CheckFileName returns an error unless name is a base name that can be stored
// and published. It has at most MaxFileNameLen bytes of valid UTF-8, without '/'
// and control characters. Neither end is blank, and it is neither "." nor "..".
func CheckFileName(name string) error {
	ok := name != "" && name != "." && name != ".." && len(name) <= MaxFileNameLen &&
		utf8.ValidString(name) && strings.TrimSpace(name) == name
	for i := 0; ok && i < len(name); i++ {
		ok = name[i] >= ' ' && name[i] != '/' && name[i] != 0x7f
	}
	if !ok {
		return fmt.Errorf("filename %.300s is %w", printable(name), ErrInvalid)
	}
	return nil
}

// printable replaces the characters of s that would disturb a line of output.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return utf8.RuneError
		}
		return r
	}, s)
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c)
}

// consistsOf reports whether s consists of letters, digits and the bytes of extra.
func consistsOf(s, extra string) bool {
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && strings.IndexByte(extra, s[i]) < 0 {
			return false
		}
	}
	return true
}

// Lengths of digests in hexadecimal.
const (
	md5Len    = 32
	sha1Len   = 40
	sha256Len = 64
	sha512Len = 128
)

// canonicalDigest trims a digest and converts it to lower case. ok is false
// unless the result is empty or n hexadecimal digits.
func canonicalDigest(s string, n int) (digest string, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" {
		return "", true
	}
	return s, len(s) == n && isHex(s)
}

// isHex reports whether s has lower-case hexadecimal digits only.
func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// SplitItems splits a relation field at its commas and trims the items. Empty
// items are dropped. The result is nil if no item remains.
func SplitItems(field string) []string {
	if strings.TrimSpace(field) == "" {
		return nil
	}
	items := make([]string, 0, 1+strings.Count(field, ","))
	for s := range strings.SplitSeq(field, ",") {
		if s = strings.TrimSpace(s); s != "" {
			items = append(items, s)
		}
	}
	if len(items) == 0 {
		return nil
	}
	return items
}
