package repo

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

func TestParseUploaders(t *testing.T) {
	u, err := ParseUploaders([]byte(`{ // who "may", what
		"groups": {"devs": ["1111222233334444", "a//b",], },
		"rules": [
			{"condition": "Source (kernel)", "deny": ["*"]}, // nobody
			{"condition": "Distribution (unstable)", "allow": ["devs"],}, // "]}
		] , // and no more
	}`))
	want := &Uploaders{
		Groups: map[string][]string{"devs": {"1111222233334444", "a//b"}},
		Rules:  []UploadersRule{{Condition: "Source (kernel)", Deny: []string{"*"}}, {Condition: "Distribution (unstable)", Allow: []string{"devs"}}},
	}
	if err != nil || !reflect.DeepEqual(u, want) {
		t.Errorf("%+v, %v", u, err)
	}
	for _, text := range []string{
		"", "{", "[]", `{"rules":[{"condition":"a)"}]}`, `{"rules":[{}]}`, `{"groups":1}`, `{}{}`, `{"a`, `{,}x`,
		"{}" + strings.Repeat(" ", MaxUploaders),
	} {
		if u, err := ParseUploaders([]byte(text)); !errors.Is(err, ErrUploaders) {
			t.Errorf("%.40q: %+v, %v", text, u, err)
		}
	}
}

func TestFirstMatchingRuleDecides(t *testing.T) {
	changes := func(source, dist string) *deb.Changes {
		return &deb.Changes{Paragraph: deb.Paragraph{{Name: "Source", Value: source}, {Name: "Distribution", Value: dist}}}
	}
	const ann, bob = pgp.KeyID(0x1111222233334444), pgp.KeyID(0xABCDEF0123456789)
	u := &Uploaders{
		Groups: map[string][]string{"devs": {"1111222233334444", "devs", "more"}, "more": {"23456789", "devs"}, "none": nil},
		Rules: []UploadersRule{
			{Condition: "Source (kernel)", Deny: []string{"23456789"}, Allow: []string{"*"}},
			{Condition: "Distribution (stable)", Allow: []string{"none", "1111222233334444"}},
			{Condition: "Distribution (unstable) | Distribution (stable)", Allow: []string{"devs"}},
			{Condition: "$Version (>= 0) | kernel", Allow: []string{"*"}}, // a condition on a package, which a .changes is not
		},
	}
	for _, tc := range []struct {
		changes *deb.Changes
		signers []pgp.KeyID
		want    string
	}{
		{changes("kernel", "x"), []pgp.KeyID{ann}, ""},
		{changes("kernel", "x"), []pgp.KeyID{ann, bob}, `denied according to rule: {"condition":"Source (kernel)","allow":["*"],"deny":["23456789"]}`},
		{changes("kernel", "x"), nil, "denied as no rule matches"},
		{changes("a", "stable"), []pgp.KeyID{ann}, ""},
		{changes("a", "stable"), []pgp.KeyID{bob}, ""},
		{changes("a", "unstable"), []pgp.KeyID{bob}, ""},
		{changes("a", "unstable"), []pgp.KeyID{0xABCDEF0123456788}, "denied as no rule matches"},
		{changes("a", "other"), []pgp.KeyID{ann, bob}, "denied as no rule matches"},
	} {
		got, err := u.denial(&release{changes: tc.changes, signers: tc.signers})
		if err != nil || got != tc.want {
			t.Errorf("%v by %v: %q, %v; want %q", tc.changes.Paragraph, tc.signers, got, err, tc.want)
		}
	}
	var nobody *Uploaders
	r := &release{changes: changes("a", "b")}
	if err := nobody.check(r); err != nil || r.refusal != "" {
		t.Errorf("without uploaders: %q, %v", r.refusal, err)
	}
}

// FuzzUploaders reads JSON with comments and commas around it.
func FuzzUploaders(f *testing.F) {
	for _, s := range []string{`{"rules":[{"condition":"Source","allow":["*"]}]}`, `{"groups":{"a":["b",],},}//`, `{"a":"//,]\""}`, `"\`, "{,}", "/"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := ParseUploaders(data)
		if err == nil {
			text, err := json.Marshal(u)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ParseUploaders(text); len(text) <= MaxUploaders && (err != nil || !reflect.DeepEqual(again.Rules, u.Rules)) {
				t.Errorf("%q is read as %s, and that as %+v, %v", data, text, again, err)
			}
		}
		if !json.Valid(data) {
			return
		}
		var plain, tolerant any
		if json.Unmarshal(data, &plain) == nil && (json.Unmarshal(plainJSON(data), &tolerant) != nil || !reflect.DeepEqual(plain, tolerant)) {
			t.Errorf("%q is taken for %q", data, plainJSON(data))
		}
	})
}
