package auth

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzPublication holds that both halves of a publication match apart.
func FuzzPublication(f *testing.F) {
	f.Add("debian/team-a//*", "debian/team-a//stable")
	f.Add("*", "a//b")
	f.Add("a*//s", "a/b//s")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		prefix, distribution, ok := strings.Cut(name, "//")
		if !ok {
			return
		}
		first, second, both := strings.Cut(pattern, "//")
		want := match(first, prefix) && (!both || match(second, distribution))
		if got := matchPublication(pattern, name); got != want {
			t.Errorf("matchPublication(%q, %q) = %v", pattern, name, got)
		}
	})
}

// FuzzSent holds that no header panics, and that a secret has its form and its checksum.
func FuzzSent(f *testing.F) {
	secret := NewSecret(API)
	f.Add("Bearer " + secret)
	f.Add("Basic dTpw")
	f.Add("basic " + secret)
	form := regexp.MustCompile(`^apt[ksd]_[0-9A-Za-z]{38}$`)
	f.Fuzz(func(t *testing.T, header string) {
		sent, err := Sent([]string{header})
		if err != nil && sent != "" {
			t.Errorf("%q: %q and %v", header, sent, err)
		}
		if _, ok := KindOf(sent); ok && (!form.MatchString(sent) || checksum(sent[:prefixLen+randomLen]) != sent[prefixLen+randomLen:]) {
			t.Errorf("%q is a secret", sent)
		}
	})
}
