package deb

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// TestAppendDetailsIsMarshal compares the JSON of packages with that of json.Marshal.
func TestAppendDetailsIsMarshal(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~\n\t]*`), rapid.StringOf(rapid.RuneFrom([]rune("a\"\\<>&\n\r\t\b\f\x00\x1f\x7f\u2028\u2029é\ufffd"))),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		p := &Package{Kind: rapid.SampledFrom([]Kind{Binary, Udeb, Source, Installer}).Draw(t, "kind"), Name: text.Draw(t, "name"), Version: "1", Architecture: "amd64",
			Depends: rapid.SliceOf(text).Draw(t, "depends"), Extra: rapid.MapOf(text, text).Draw(t, "extra"),
			Files: []File{{Name: text.Draw(t, "file"), Size: 1, SHA256: "aa"}}}
		if rapid.Bool().Draw(t, "again") {
			p.Extra = map[string]string{"Version": text.Draw(t, "version"), "Key": "other", "A": "b"}
		}
		want, err := json.Marshal(p.Details())
		got, gotErr := p.AppendDetails([]byte("x"))
		if err != nil || gotErr != nil || string(got) != "x"+string(want) {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func BenchmarkDetails(b *testing.B) {
	p := &Package{Name: "hello", Version: "2.10-3", Architecture: "amd64", Depends: []string{"libc6 (>= 2.34)"}, Files: []File{{Name: "hello.deb", Size: 1, SHA256: "aa", MD5: "bb"}},
		Extra: map[string]string{"Description": " example\n a longer text of \"two\" lines\n", "Section": "devel", "Priority": "optional", "Maintainer": "A <a@example.org>", "Installed-Size": "280"}}
	for range b.N {
		if _, err := p.AppendDetails(nil); err != nil {
			b.Fatal(err)
		}
	}
}
