package deb

import (
	"errors"
	"strings"
	"testing"
)

func TestChecks(t *testing.T) {
	tests := []struct {
		what  string
		check func(string) error
		good  []string
		bad   []string
	}{
		{
			"name", CheckName,
			[]string{"hello", "libstdc++6", "r", "0", "0ad", "g++", "r-base", "a1", "Upper", "under_score", strings.Repeat("a", MaxNameLen)},
			[]string{"", "-", "-a", "+a", ".a", "..", "a b", "a/b", "../x", "a\n", "ä1", "a:b", "a\x00", strings.Repeat("a", MaxNameLen+1)},
		},
		{
			"version", CheckVersion,
			[]string{"1", "1.0-1", "0:1", "1:2:3-4", "2147483647:1", "1.0~rc1+b1-2~x", "1-2-3", "1_2", "a1"},
			[]string{"", ":", ":1", "a:1", "-1:1", "2147483648:1", "1:", "1-", "-1", "1:-1", "1 0", "1/0", "1\n", "1.0-a:b", "1,0", "99999999999999999999:1"},
		},
		{
			"architecture", CheckArchitecture,
			[]string{"amd64", "all", "kfreebsd-amd64", "arm64", "x32", "many"},
			[]string{"", "source", "any", "linux-any", "any-i386", "amd64 i386", "a/b", "-a", "../x", strings.Repeat("a", MaxArchitectureLen+1)},
		},
		{
			"file name", CheckFileName,
			[]string{"a_1_all.deb", "x_1%3a2_all.deb", "a b.deb", "...", "ä.deb", strings.Repeat("a", MaxFileNameLen)},
			[]string{"", ".", "..", "a/b", "/", " a", "a ", "a\n", "a\x7f", "a\x00b", "\xff", strings.Repeat("a", MaxFileNameLen+1)},
		},
	}
	for _, test := range tests {
		for _, s := range test.good {
			if err := test.check(s); err != nil {
				t.Errorf("%s %q: %v", test.what, s, err)
			}
		}
		for _, s := range test.bad {
			err := test.check(s)
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s %q: error %v, want ErrInvalid", test.what, s, err)
			} else if strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("%s %q: the error has control characters: %q", test.what, s, err)
			}
		}
	}
	if got, want := CheckFileName(".").Error(), "filename . is invalid"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}
