package query

import (
	"regexp"
	"regexp/syntax"
	"testing"

	"pgregory.net/rapid"

	"aptless/core/formats/deb"
)

// TestQueryMatchesThePartThatItNeeds compares the answers of queries for packages and
// for the parts of them that the queries need.
func TestQueryMatchesThePartThatItNeeds(t *testing.T) {
	p := &deb.Package{Name: "hello", Version: "2.10-3", Architecture: "amd64", Source: "hello-src (1.0)",
		Depends: []string{"libc6 (>= 2.36)"}, Suggests: []string{"world"}, Provides: []string{"greeter (= 5)", "editor"},
		Extra: map[string]string{"Description": " a greeting\n of many lines\n", "Section": "devel"},
		Files: []deb.File{{Name: "hello_2.10-3_amd64.deb", Size: 3, SHA256: "x"}}}
	record := deb.AppendPackage(nil, p)
	for _, text := range []string{
		"hello", "greeter", "editor", "greeter (>= 4)", "greeter (>= 6)", "hello_2.10-3_amd64", "hello_2.10-4_amd64", "hello {arm64}",
		"Name (~ ^hel)", "$Version (>= 2)", "$Version (>= 3)", "$Architecture (amd64)", "$PackageType (deb)", "$Source (hello-src)", "$SourceVersion (1.0)",
		"Description (~ .*many.lines.*)", "Description (% *nothing*)", "Section (devel)", "Section (devel), !Suggests (world)", "Depends (% *libc6*)",
		"Provides (~ editor), Source (~ hello)", "Absent", "!Absent", "(Suggests (world) | Absent), Recommends",
	} {
		q, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		part, err := deb.DecodePart(record, Needs(q))
		if err != nil {
			t.Fatal(err)
		}
		if q.Match(part) != q.Match(p) {
			t.Errorf("%q is %v for the part, %v for the package", text, q.Match(part), q.Match(p))
		}
	}
}

// TestExpressionWithoutEndsIsFoundInTheSameTexts compares an expression with its
// form that lacks the parts at its ends that may be empty.
func TestExpressionWithoutEndsIsFoundInTheSameTexts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{".*", "a", "b", "b?", "(ab)*", "^", "$", `\b`, "(?i:A)", "[^a]*", "a|b", "(?s:.)*?", "c+", "\n"}), 1, 6).Draw(rt, "parts")
		pattern := ""
		for _, p := range parts {
			pattern += p
		}
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			return
		}
		whole, less := regexp.MustCompile(pattern), regexp.MustCompile(withoutEnds(parsed).String())
		text := rapid.StringMatching(`[abcA\n ]{0,8}`).Draw(rt, "text")
		if whole.MatchString(text) != less.MatchString(text) {
			rt.Fatalf("%q in %q is %v, but %q is %v", pattern, text, whole.MatchString(text), less, less.MatchString(text))
		}
	})
}

// TestPrefixExcludesNoMatch: the names of all packages that match begin with the prefix.
func TestPrefixExcludesNoMatch(t *testing.T) {
	for text, want := range map[string]string{
		"Name (% libc*)": "libc", "Name (% libc6)": "libc6", "Name (= libc6)": "libc", "Name (~ ^libc)": "libc", "Name (~ ^libc.*)": "libc",
		"hello": "", "hello_1.0_amd64": "hello", "Section (net), Name (% x*)": "x", "Name (% a*), Name (% ab*)": "ab",
		"Name (% a*) | Name (% b*)": "", "!Name (% a*)": "", "Name": "", "Version (>= 1)": "", "(Name (% a*) | b), Name (% c*)": "c",
	} {
		q, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Prefix(q); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
