package repo

import (
	"strings"
	"testing"

	"aptless/core/engine/named"

	"aptless/core/formats/deb"
)

func TestTemplatesAreBounded(t *testing.T) {
	p := deb.Paragraph{{Name: "Distribution", Value: "sid"}, {Name: "Changed-By", Value: "A <a@example.org>"}, {Name: "Long", Value: strings.Repeat("x", 1<<20)}}
	for _, tc := range []struct{ text, want string }{
		{"plain", "literal"},
		{"with space", "literal"},
		{"{{.Distribution}}", "literal"},
		{"a-{{.Distribution}}", "a-sid"},
		{"{{.Distribution}}{{.Distribution}}", "sidsid"},
		{"a-{{.Missing}}", "a-<no value>"},
		{`{{index . "Changed-By"}}!`, "A <a@example.org>!"},
		{`a{{if eq .Distribution "sid"}}-unstable{{else}}-{{.Distribution}}{{end}}`, "a-unstable"},
		{`a{{with .Distribution}}{{slice . 0 1}}{{end}}`, "as"},
		{"a{{.Long}}", "a" + strings.Repeat("x", named.MaxName)},
		{"a{{", "error"},
		{"a{{.Distribution", "error"},
		{"a{{frob}}", "error"},
		{`a{{printf "%999999999d" 1}}`, "error"},
		{`a{{print .Long .Long}}`, "error"},
		{"a{{range 1000000000}}x{{end}}", "error"},
		{"a{{range .}}x{{end}}", "error"},
		{`a{{template "repo" .}}`, "error"},
		{`a{{if true}}{{template "repo" .}}{{end}}`, "error"},
		{`a{{block "x" .}}{{end}}`, "error"},
		{"a" + strings.Repeat("{{.X}}", 1000), "error"},
		{"a\xff", "error"},
		{`a{{slice .Distribution 9}}`, "fails"},
	} {
		name, err := parseTemplate(tc.text)
		var got string
		switch {
		case err != nil:
			got = "error"
		case name.literal:
			got = "literal"
		default:
			if got, err = name.render(p); err != nil {
				got = "fails"
			}
		}
		if got != tc.want {
			t.Errorf("%.60s: %.60s, want %.60s", tc.text, got, tc.want)
		}
	}
}

// FuzzTemplate renders any template. It ends, and the name is bounded.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"r", "a{{.Source}}", `{{index . "A"}}{{if not .B}}x{{else if and .A .B}}y{{end}}`, "{{$a := .A}}{{$a}}b", "a{{range .}}{{end}}", "{{/* */}}"} {
		f.Add(s, "value")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		name, err := parseTemplate(text)
		if err != nil || name.literal {
			return
		}
		if got, err := name.render(deb.Paragraph{{Name: "Source", Value: value}, {Name: "A", Value: value}}); err == nil && len(got) > named.MaxName+1 {
			t.Errorf("%q becomes %d bytes", text, len(got))
		}
	})
}
