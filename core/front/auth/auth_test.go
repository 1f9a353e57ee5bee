package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestVectorOfATokenHasItsID holds a secret, its kind and its ID, as other programs
// compute them.
func TestVectorOfATokenHasItsID(t *testing.T) {
	const secret = "aptk_0123456789ABCDEFGHIJKLMNOPQRSTUV37xyI2"
	if kind, ok := KindOf(secret); kind != API || !ok {
		t.Errorf("%s: %q, %v", secret, kind, ok)
	}
	if id := IDOf(Digest(secret)); id != "340d8293d6fa" {
		t.Errorf("ID is %s", id)
	}
}

func TestSecretsHaveTheirKindAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for kind := range prefixes {
		for range 200 {
			secret := NewSecret(kind)
			if got, ok := KindOf(secret); got != kind || !ok || seen[secret] {
				t.Fatalf("%s: %q, %v, seen before: %v", secret, got, ok, seen[secret])
			}
			seen[secret] = true
		}
	}
}

// TestEveryChangeOfOneCharacterIsNoToken holds that the checksum refuses a secret with
// one changed character.
func TestEveryChangeOfOneCharacterIsNoToken(t *testing.T) {
	secret := NewSecret(API)
	for i := range secret {
		for _, c := range digits + "_-. " {
			if changed := secret[:i] + string(c) + secret[i+1:]; changed != secret {
				if _, ok := KindOf(changed); ok {
					t.Errorf("%s is taken for a token, as %s is", changed, secret)
				}
			}
		}
	}
}

func FuzzKindOf(f *testing.F) {
	f.Add("aptk_0123456789ABCDEFGHIJKLMNOPQRSTUV37xyI2")
	f.Add("aptd_")
	f.Fuzz(func(t *testing.T, text string) {
		kind, ok := KindOf(text)
		if !ok {
			return
		}
		if text[:prefixLen] != prefixes[kind] || checksum(text[:prefixLen+randomLen]) != text[prefixLen+randomLen:] || len(text) != secretLen {
			t.Errorf("%q is taken for a token of the kind %q", text, kind)
		}
	})
}

// plain is Match by its definition, in any time.
func plain(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	if pattern[0] == '*' {
		return plain(pattern[1:], text) || text != "" && plain(pattern, text[1:])
	}
	return text != "" && text[0] == pattern[0] && plain(pattern[1:], text[1:])
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"team-a-*", "team-a-x"}, {"*", ""}, {"**a*", "ba"}, {"a*b*c", "abbc"}, {"a*a", "a"}, {"*/*", "a/b/c"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 12 || len(text) > 24 {
			return
		}
		if got, want := match(pattern, text), plain(pattern, text); got != want {
			t.Errorf("match(%q, %q) is %v", pattern, text, got)
		}
	})
}

func principal(grants ...Grant) *Principal { return &Principal{Kind: API, Grants: grants} }

func TestDecide(t *testing.T) {
	teamA := Grant{Role: Publisher, Repos: []string{"team-a-*"}, Publish: []string{"debian/team-a//*", "s3:eu:x"}}
	for _, c := range []struct {
		grant Grant
		need  Need
		want  bool
	}{
		{teamA, Need{Can: RepoImport, Name: "team-a-x"}, true},
		{teamA, Need{Can: RepoImport, Name: "team-b-x"}, false},
		{teamA, Need{Can: RepoManage, Name: "team-a-x"}, false},
		{teamA, Need{Can: RepoRead, Name: All}, false},
		{teamA, Need{Can: PublishUpdate, Name: "debian/team-a//stable"}, true},
		{teamA, Need{Can: PublishUpdate, Name: "debian/team-a//*"}, true},
		{teamA, Need{Can: PublishUpdate, Name: "debian/team-ab//stable"}, false},
		{teamA, Need{Can: PublishUpdate, Name: "s3:eu:x//any"}, true},
		{teamA, Need{Can: PublishUpdate, Name: "x//any"}, false},
		{teamA, Need{Can: SnapshotRead, Name: "s"}, false},
		{teamA, Need{Can: PackagesRead, Name: ""}, false},
		{teamA, Need{Can: FilesWrite, Name: "anywhere"}, true},
		{teamA, Need{Can: FilesManage, Name: "anywhere"}, false},
		{Grant{Role: Publisher}, Need{Can: PackagesRead, Name: ""}, true},
		{Grant{Role: Publisher, Repos: []string{}}, Need{Can: RepoRead, Name: "r"}, false},
		{Grant{Role: Uploader, Repos: []string{"r"}, Files: []string{"ci-*"}}, Need{Can: FilesWrite, Name: "ci-1"}, true},
		{Grant{Role: Uploader, Repos: []string{"r"}, Files: []string{"ci-*"}}, Need{Can: FilesWrite, Name: "other"}, false},
		{Grant{Role: Maintainer, Repos: []string{"*"}}, Need{Can: RepoManage, Name: All}, true},
		{Grant{Role: Maintainer, Repos: []string{"**"}}, Need{Can: RepoImport, Name: All}, true},
		{Grant{Role: Maintainer, Repos: []string{"r"}}, Need{Can: FilesWrite, Name: "d"}, true},
		{Grant{Role: Maintainer, Repos: []string{"r"}}, Need{Can: FilesManage, Name: "d"}, false},
		{Grant{Role: Maintainer}, Need{Can: AuthManage, Name: ""}, false},
		{Grant{Role: Maintainer}, Need{Can: AuditRead, Name: ""}, false},
		{Grant{Role: Maintainer}, Need{Can: GPGRead, Name: ""}, true},
		{Grant{Role: Admin}, Need{Can: AuthManage, Name: ""}, true},
		{Grant{Role: Downloader, Tree: []string{"team-a"}}, Need{Can: TreeRead, Name: "team-a"}, true},
		{Grant{Role: Downloader, Tree: []string{"team-a"}}, Need{Can: TreeRead, Name: All}, false},
		{Grant{Can: []Permission{RepoImport}, Repos: []string{"hello"}}, Need{Can: RepoImport, Name: "hello"}, true},
		{Grant{Can: []Permission{RepoImport}, Repos: []string{"hello"}}, Need{Can: RepoInclude, Name: "hello"}, false},
		{Grant{Can: []Permission{RepoImport}, Repos: []string{"hello"}}, Need{Can: FilesWrite, Name: "d"}, false},
		{Grant{Can: []Permission{"repo.manage"}}, Need{Can: "repository.x", Name: "r"}, false},
		{Grant{Can: []Permission{PublishManage}, Publish: []string{"*//stable"}}, Need{Can: PublishUpdate, Name: "a/b//stable"}, true},
		{Grant{Can: []Permission{PublishManage}, Publish: []string{"*//stable"}}, Need{Can: PublishUpdate, Name: "a/b//*"}, false},
	} {
		err := Decide(principal(c.grant), c.need)
		var refusal *Refusal
		if (err == nil) != c.want || err != nil && (!errors.As(err, &refusal) || refusal.Need != c.need) {
			t.Errorf("%+v, %v: %v", c.grant, c.need, err)
		}
	}
}

// TestPatternOfOneTeamIsForNothingElse holds that a team's pattern matches neither all
// names nor another case. The pattern team-a* does not match the prefix team.
func TestPatternOfOneTeamIsForNothingElse(t *testing.T) {
	p := principal(Grant{Can: []Permission{RepoRead, PublishRead}, Repos: []string{"team-a*"}, Publish: []string{"team-a*"}})
	for _, n := range []Need{{Can: RepoRead, Name: "*"}, {Can: RepoRead, Name: "TEAM-A"}, {Can: PublishRead, Name: "team//a"}, {Can: PublishRead, Name: "*//*"}} {
		if Decide(p, n) == nil {
			t.Errorf("%v is allowed", n)
		}
	}
}

func TestRefusalNamesTheFirstNeed(t *testing.T) {
	err := Decide(principal(Grant{Role: Reader}), Need{Can: RepoRead, Name: "a"}, Need{Can: RepoImport, Name: "b"}, Need{Can: MetricsRead, Name: ""})
	if err == nil || err.Error() != "no permission: repo.import on b" {
		t.Error(err)
	}
	err = Decide(principal(Grant{Role: Reader}), Need{Can: MetricsRead, Name: ""})
	if err == nil || err.Error() != "no permission: metrics.read" {
		t.Error(err)
	}
}

func TestSomePermission(t *testing.T) {
	limited := principal(Grant{Role: Uploader, Repos: []string{"hello"}})
	for can, want := range map[Permission]bool{RepoRead: true, SnapshotRead: false, FilesWrite: true, PackagesRead: false, RepoManage: false} {
		if err := DecideSome(limited, can); (err == nil) != want {
			t.Errorf("%s: %v", can, err)
		}
	}
	if err := DecideSome(principal(Grant{Role: Reader, Repos: []string{}}), RepoRead); err == nil {
		t.Error("an empty list has a name")
	}
}

func TestGrantsAreStoredAsTheyAre(t *testing.T) {
	for _, g := range []Grant{{Role: Admin}, {Role: Reader, Repos: []string{}}, {Can: []Permission{RepoRead}, Tree: []string{"*"}}} {
		data, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		var back Grant
		if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(g, back) {
			t.Errorf("%+v has become %+v by %s, %v", g, back, data, err)
		}
	}
}

func TestGrantsThatCannotBeMeant(t *testing.T) {
	many := make([]string, maxPatterns+1)
	for i := range many {
		many[i] = "x"
	}
	for _, c := range []struct {
		kind  Kind
		grant Grant
		want  string
	}{
		{API, Grant{}, "needs a Role"},
		{API, Grant{Role: "king"}, "is not known"},
		{API, Grant{Role: Reader, Can: []Permission{RepoRead}}, "not both"},
		{API, Grant{Role: Admin, Repos: []string{"x"}}, "admin has no limits"},
		{API, Grant{Can: []Permission{"repo.fly"}}, "is not known"},
		{API, Grant{Role: Reader, Repos: []string{""}}, "1 to 200 bytes"},
		{API, Grant{Role: Reader, Repos: []string{strings.Repeat("x", 201)}}, "1 to 200 bytes"},
		{API, Grant{Role: Reader, Repos: []string{strings.Repeat("*", 9)}}, "8 stars"},
		{API, Grant{Role: Reader, Repos: many}, "64 patterns"},
		{API, Grant{Role: Downloader, Tree: []string{"x"}}, "download tokens"},
		{Download, Grant{Role: Reader}, "download tokens"},
		{Download, Grant{Can: []Permission{TreeRead, RepoRead}}, "download tokens"},
	} {
		if err := CheckGrants(c.kind, []Grant{c.grant}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v, want %s", c.kind, c.grant, err, c.want)
		}
	}
	if err := CheckGrants(Download, []Grant{{Role: Downloader, Tree: []string{"x"}}}); err != nil {
		t.Error(err)
	}
	if CheckGrants(API, nil) == nil || CheckGrants(API, make([]Grant, MaxGrants+1)) == nil {
		t.Error("no grants, or too many, are taken")
	}
}

// BenchmarkDecide has the last of 64 patterns match.
func BenchmarkDecide(b *testing.B) {
	p := principal()
	for i := range MaxGrants {
		g := Grant{Role: Publisher}
		for j := range maxPatterns / MaxGrants {
			g.Publish = append(g.Publish, fmt.Sprintf("debian/team-%d-%d-*//stable*", i, j))
		}
		p.Grants = append(p.Grants, g)
	}
	need := Need{Can: PublishUpdate, Name: "debian/team-15-3-x//stable-updates"}
	for b.Loop() {
		if err := Decide(p, need); err != nil {
			b.Fatal(err)
		}
	}
}
