package deb

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseRelation(t *testing.T) {
	tests := []struct {
		in   string
		want Relation
		text string
	}{
		{"libc6", Relation{Name: "libc6"}, "libc6 []"},
		{" libc6 (>= 2.34) ", Relation{Name: "libc6", Op: GreaterOrEqual, Version: "2.34"}, "libc6 (>= 2.34) []"},
		{"a(<<1)", Relation{Name: "a", Op: Less, Version: "1"}, "a (<< 1) []"},
		{"a (< 1)", Relation{Name: "a", Op: LessOrEqual, Version: "1"}, "a (<= 1) []"},
		{"a (> 1)", Relation{Name: "a", Op: GreaterOrEqual, Version: "1"}, "a (>= 1) []"},
		{"a (>> 1)", Relation{Name: "a", Op: Greater, Version: "1"}, "a (>> 1) []"},
		{"a (<=1)", Relation{Name: "a", Op: LessOrEqual, Version: "1"}, "a (<= 1) []"},
		{"a (= 1)", Relation{Name: "a", Op: Equal, Version: "1"}, "a (= 1) []"},
		{"a (1)", Relation{Name: "a", Op: Equal, Version: "1"}, "a (= 1) []"},
		{"a ( >= 1)", Relation{Name: "a", Op: Equal, Version: ">= 1"}, "a (= >= 1) []"},
		{"a ()", Relation{Name: "a", Op: Equal}, "a (= ) []"},
		{"a (>= 1) {i386}", Relation{Name: "a", Arch: "i386", Op: GreaterOrEqual, Version: "1"}, "a (>= 1) [i386]"},
		{"a {i386}", Relation{Name: "a", Arch: "i386"}, "a [i386]"},
		{"python3:any (>= 3)", Relation{Name: "python3", Op: GreaterOrEqual, Version: "3"}, "python3 (>= 3) []"},
		{"gcc:native", Relation{Name: "gcc", Arch: "native"}, "gcc [native]"},
		{"foo (>= 1) [amd64]", Relation{Name: "foo (>= 1) [amd64]"}, "foo (>= 1) [amd64] []"},
		{"foo <!nocheck>", Relation{Name: "foo <!nocheck>"}, "foo <!nocheck> []"},
	}
	for _, test := range tests {
		got, err := ParseRelation(test.in)
		if err != nil || got != test.want {
			t.Errorf("ParseRelation(%q) = %+v, %v, want %+v", test.in, got, err, test.want)
		}
		if got.String() != test.text {
			t.Errorf("ParseRelation(%q) prints as %q, want %q", test.in, got, test.text)
		}
	}
}

func TestParseRelationErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"a}", "unable to parse dependency: a}"},
		{"a >= 1)", "unable to parse dependency: a >= 1)"},
		{"a (=> 1)", `relation unknown "=>" in dependency a (=> 1)`},
		{"a (== 1)", `relation unknown "==" in dependency a (== 1)`},
		{"a (<> 1)", `relation unknown "<>" in dependency a (<> 1)`},
	}
	for _, test := range tests {
		_, err := ParseRelation(test.in)
		if !errors.Is(err, ErrRelation) || err.Error() != test.want {
			t.Errorf("ParseRelation(%q): error %v, want %s", test.in, err, test.want)
		}
	}
	if _, err := ParseAlternatives("a | b (=> 1)"); !errors.Is(err, ErrRelation) {
		t.Errorf("ParseAlternatives: error %v, want ErrRelation", err)
	}
}

func TestParseAlternatives(t *testing.T) {
	tests := []struct {
		in   string
		want []Relation
	}{
		{"", []Relation{}},
		{" | ", []Relation{}},
		{"a", []Relation{{Name: "a"}}},
		{"a (>= 1) | b:any|c ", []Relation{{Name: "a", Op: GreaterOrEqual, Version: "1"}, {Name: "b"}, {Name: "c"}}},
		{"a |", []Relation{{Name: "a"}}},
	}
	for _, test := range tests {
		got, err := ParseAlternatives(test.in)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("ParseAlternatives(%q) = %+v, %v, want %+v", test.in, got, err, test.want)
		}
	}
}

func TestSplitItems(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"  ", nil},
		{" , ,", nil},
		{"a (>= 1) | b,c:any ,  d", []string{"a (>= 1) | b", "c:any", "d"}},
		{"a,", []string{"a"}},
	}
	for _, test := range tests {
		if got := SplitItems(test.in); !reflect.DeepEqual(got, test.want) {
			t.Errorf("SplitItems(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestSatisfiedBy(t *testing.T) {
	mailer := &Package{
		Name: "exim4", Version: "4.96-1", Architecture: "amd64",
		Provides: []string{"mail-transport-agent", "exim (= 4.90)", "old (<< 9)", "broken (=> 1)", "exim4-api:any (= 2)"},
	}
	doc := &Package{Name: "doc", Version: "1", Architecture: "all"}
	src := &Package{Kind: Source, Name: "hello", Version: "2", Architecture: "source"}
	tests := []struct {
		relation string
		p        *Package
		want     bool
	}{
		{"exim4", mailer, true},
		{"exim4 (>= 4.96)", mailer, true},
		{"exim4 (>> 4.96-1)", mailer, false},
		{"exim4 (<= 4.96-1)", mailer, true},
		{"exim4 {amd64}", mailer, true},
		{"exim4 {i386}", mailer, false},
		{"mail-transport-agent", mailer, true},
		{"mail-transport-agent (= 4.96-1)", mailer, true},
		{"mail-transport-agent (= 5)", mailer, false},
		{"mail", mailer, false},
		{"exim (= 4.90)", mailer, true},
		{"exim (>> 4.90)", mailer, false},
		{"exim (<< 4.91)", mailer, true},
		{"exim4-api (= 2)", mailer, true},
		{"old", mailer, false},
		{"broken", mailer, false},
		{"doc {i386}", doc, true},
		{"doc {source}", doc, false},
		{"hello {source}", src, true},
		{"hello {any}", src, false},
		{"hello", src, true},
		{"(= 1)", doc, false},
	}
	for _, test := range tests {
		r, err := ParseRelation(test.relation)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.SatisfiedBy(test.p); got != test.want {
			t.Errorf("%q satisfied by %s: %v, want %v", test.relation, test.p, got, test.want)
		}
	}
}

func FuzzParseAlternatives(f *testing.F) {
	for _, s := range []string{"a (>= 1) | b:any", "a {i386}", "a (=> 1)", "a}", ")", "(", "a (", "{}", "|"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		relations, err := ParseAlternatives(s)
		if err != nil {
			if !errors.Is(err, ErrRelation) {
				t.Fatalf("error %v", err)
			}
			return
		}
		for _, r := range relations {
			if r.Op == AnyVersion && r.Version != "" {
				t.Fatalf("%+v has a version and no relation", r)
			}
			r.SatisfiedBy(&Package{Name: s, Version: s, Provides: strings.Split(s, ",")})
		}
	})
}
