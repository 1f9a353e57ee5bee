package query

import (
	"errors"
	"strings"
	"testing"

	"aptless/core/formats/deb"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"nginx":                        "nginx",
		"foo (>= 1) {amd64}":           "foo (>= 1) {amd64}",
		"foo (>=1)":                    "foo (>= 1)",
		"foo (1)":                      "foo (= 1)",
		"foo (< 1)":                    "foo (<= 1)",
		"foo (> 1)":                    "foo (>= 1)",
		"foo (<< 1)":                   "foo (<< 1)",
		"foo (>> 1)":                   "foo (>> 1)",
		"a, b | c, d":                  "a, b | c, d",
		"a,(b|c),d":                    "a, (b | c), d",
		"((a))":                        "a",
		"(a, b), c":                    "a, b, c",
		"!a, b":                        "!a, b",
		"!(a, b)":                      "!(a, b)",
		"!!a":                          "!!a",
		"Priority (required)":          "Priority (= required)",
		"Name (% *-dev)":               "Name (% *-dev)",
		"$Source (nginx)":              "$Source (= nginx)",
		"Foo":                          "Foo",
		"name_1.0_amd64":               "name_1.0_amd64",
		"Name_1.0_amd64":               "Name_1.0_amd64",
		"name_1.0":                     "name_1.0",
		"name_1.0_amd64 (>= 1)":        "name_1.0_amd64 (>= 1)",
		"foo (1.0~rc1)":                "foo (= 1.0~rc1)",
		"foo (~rc1)":                   "foo (~ rc1)",
		"foo (a=b)":                    "foo (= a=b)",
		"foo (= '~1')":                 "foo (= '~1')",
		"foo:any (>= 1)":               "foo:any (>= 1)",
		"*":                            "*",
		`Name (~ '^a(b|c)$')`:          `Name (~ '^a(b|c)$')`,
		`Name (= "a\"b\\c")`:           `Name (= a"b\c)`,
		`'a b'`:                        `'a b'`,
		`''`:                           `''`,
		`"Name" (x)`:                   "Name (= x)",
		"foo\t( >=\n1 )\u00a0{ i386 }": "foo (>= 1) {i386}",
		"Überschrift (x)":              "Überschrift (= x)",
		"$a_b_c":                       "$a_b_c",
	} {
		q, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := q.String(); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestTermsHaveTheirKind(t *testing.T) {
	kind := func(text string) string {
		q, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		switch q.(type) {
		case *field:
			return "field"
		case *exact:
			return "exact"
		case *dependency:
			return "dependency"
		default:
			return "other"
		}
	}
	for text, want := range map[string]string{
		"nginx": "dependency", "Foo": "field", "$x": "field", "Foo_bar": "dependency", "Überschrift": "field",
		"Name_1.0_amd64": "exact", "a_1_2_b": "exact", "__": "exact", "a_b": "dependency", "a_1_b (1)": "dependency",
		"$a_b_c": "field", "''": "dependency", "'Foo'": "field",
	} {
		if got := kind(text); got != want {
			t.Errorf("%s is a %s term, want %s", text, got, want)
		}
	}
	q, _ := Parse("a_1_2_b")
	if *q.(*exact) != (exact{"a", "1_2", "b"}) {
		t.Errorf("a_1_2_b is %+v", q)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "unexpected token <EOL>: expecting field or package name",
		" ":                "unexpected token <EOL>: expecting field or package name",
		"a,":               "unexpected token <EOL>: expecting field or package name",
		"nginx |":          "unexpected token <EOL>: expecting field or package name",
		"|a":               "unexpected token |: expecting field or package name",
		"()":               "unexpected token ): expecting field or package name",
		"!":                "unexpected token <EOL>: expecting field or package name",
		">= 1":             "unexpected token >=: expecting field or package name",
		"a b":              `unexpected token "b": expecting end of query`,
		"a 'b\n'":          `unexpected token "b\n": expecting end of query`,
		"lalala >>":        "unexpected token >>: expecting end of query",
		"foo(>= 1)":        `unexpected token "1": expecting end of query`,
		"a)":               "unexpected token ): expecting end of query",
		"name)":            "unexpected token ): expecting end of query",
		"Name {amd64}":     "unexpected token {: expecting end of query",
		"a_1_b {amd64}":    "unexpected token {: expecting end of query",
		"(a":               "unexpected token <EOL>: expecting ')'",
		"(a b)":            `unexpected token "b": expecting ')'`,
		"foo (>= 1":        "unexpected token <EOL>: expecting ')'",
		"foo (1 2)":        `unexpected token "2": expecting ')'`,
		"Name (~^a(b|c)$)": "unexpected token |: expecting ')'",
		"foo ()":           "unexpected token ): expecting value",
		"foo (>=)":         "unexpected token ): expecting value",
		"foo (== 1)":       "unexpected token =: expecting value",
		"foo (= ~1)":       "unexpected token ~: expecting value",
		"foo (!= 1)":       "unexpected token !: expecting value",
		"foo (":            "unexpected token <EOL>: expecting value",
		"foo {":            "unexpected token <EOL>: expecting architecture",
		"foo {}":           "unexpected token }: expecting architecture",
		"foo {amd64":       "unexpected token <EOL>: expecting '}'",
		"foo {a b}":        `unexpected token "b": expecting '}'`,
		"'abc":             "unexpected token error: unexpected eof in quoted string: expecting field or package name",
		`'abc\`:            "unexpected token error: unexpected eof in quoted string: expecting field or package name",
		"foo ('abc":        "unexpected token error: unexpected eof in quoted string: expecting value",
		"foo (~ [)":        "regexp compile failed: error parsing regexp: missing closing ]: `[`",
	} {
		q, err := Parse(text)
		if err == nil {
			t.Errorf("%q is %v, want an error", text, q)
			continue
		}
		if got := err.Error(); got != "parsing failed: "+want || !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestLargeQueriesAreRefused(t *testing.T) {
	pattern := func(s string) string { return "Name (~ '" + s + "')" }
	for name, tc := range map[string]struct{ within, beyond, want string }{
		"text":      {"a" + strings.Repeat(" ", MaxText-1), "a" + strings.Repeat(" ", MaxText), "longer than"},
		"depth":     {strings.Repeat("(", MaxDepth) + "a" + strings.Repeat(")", MaxDepth), strings.Repeat("(", MaxDepth+1) + "a" + strings.Repeat(")", MaxDepth+1), "deep"},
		"negations": {strings.Repeat("!", MaxDepth) + "a", strings.Repeat("!(", 120_000) + "a", "deep"},
		"terms":     {"a" + strings.Repeat(",a", MaxTerms-1), "a" + strings.Repeat("|a", MaxTerms), "terms"},
		"pattern":   {pattern(strings.Repeat("a", maxPattern)), pattern(strings.Repeat("a", maxPattern+1)), "expression too large"},
		"glob":      {"Name (% " + strings.Repeat("a", maxPattern) + ")", "Name (% " + strings.Repeat("*", maxPattern+1) + ")", "pattern longer than"},
		"repeats":   {pattern("(abc){900}"), pattern("(abcdefghijklmnopqrstuvwxyz){900}"), "expression too large"},
		"sum":       {pattern("(abc){900}"), pattern("(abc){900}") + strings.Repeat("|"+pattern("(abc){900}"), 5), "expression too large"},
	} {
		if _, err := Parse(tc.within); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Parse(tc.beyond); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %.200v, want %s", name, err, tc.want)
		}
	}
}

// FuzzParse parses any text. A parsed query, written and parsed again, is the
// same query.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "nginx", "a, b | !(c, d)", "foo (>= 1) {amd64}", `Name (~ '^a(b|c)$')`, "$Source (% *x)",
		"a_1_b", `'a\'b' (= "\"")`, "foo(>= 1)", "((", "!!a", "Ü", "\xff{\xff}", "''{''}", "a (~ \\pL{2,3})"} {
		f.Add(seed)
	}
	p := &deb.Package{Name: "nginx", Version: "1.0-1", Architecture: "amd64", Provides: []string{"a (= 1)", "foo"},
		Extra: map[string]string{"Priority": "required"}}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(q.String())
		if err != nil {
			t.Fatalf("%q is written %q: %v", text, q.String(), err)
		}
		if q.String() != again.String() {
			t.Errorf("%q is written %q and then %q", text, q.String(), again.String())
		}
		if q.Match(p) != again.Match(p) || q.Match(p) == (not{q}).Match(p) {
			t.Errorf("%q matches %v, written %q %v", text, q.Match(p), again.String(), again.Match(p))
		}
		none := func(string) string { return "" }
		if q.MatchFields(none) != again.MatchFields(none) {
			t.Errorf("%q and %q differ for fields", text, again.String())
		}
	})
}
