package mirror_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// indexTexts are texts of one index: with other orders, changed and repeated packages, and
// all kinds of empty lines.
func indexTexts() (texts []string, files map[string][]byte) {
	files = map[string][]byte{}
	text := func(s debtest.Spec, path string) string {
		files[path] = debtest.Deb(s)
		return stanza(s, path, "{sha256}")
	}
	spec := func(name string) debtest.Spec {
		return debtest.Spec{Package: name, Version: "1.0", Architecture: "amd64"}
	}
	a, b, c := text(spec("aa"), "pool/aa.deb"), text(spec("bb"), "pool/bb.deb"), text(spec("cc"), "pool/cc.deb")
	described := strings.Replace(a, "Description:", "Tag: new\nDescription:", 1)
	large := spec("aa")
	large.Files = map[string]string{"usr/bin/aa": "other"}
	other := text(large, "pool/other.deb")
	windows := strings.ReplaceAll(a+"\n"+b+"\n", "\n", "\r\n")
	for _, parts := range [][]string{
		{a, b}, {described, b, c}, {a, a, b}, {a, described, b}, {described, a}, {other, b}, {a, other},
		{a, "Version: 1.0\n", b}, {"\n", a, "\n\n", b},
	} {
		texts = append(texts, strings.Join(parts, "\n")+"\n")
	}
	return append(texts, windows, a+"\r\n"+b+"\n"+c, strings.TrimSuffix(a+"\n"+c, "\n"), ""), files
}

// TestUnreadStanzasChangeNothing updates a mirror from each index to each other one. Its
// packages are those of a new mirror of the second index, so no stanza that stays unread
// would have given another package.
func TestUnreadStanzasChangeNothing(t *testing.T) {
	w := apptest.NewMirroring(t)
	w.Server.Fault = nil
	p, err := w.Start(t.Context(), drivertest.NewEnv())
	if err != nil {
		t.Fatal(err)
	}
	texts, files := indexTexts()
	date := apptest.SigningTime
	set := func(i int) {
		date = date.Add(time.Minute)
		tree := upstreamtest.Build(upstreamtest.Spec{Components: map[string]upstreamtest.Component{"main": {}}, Fields: map[string]string{"Date": date.UTC().Format(time.RFC1123)},
			Extra: map[string][]byte{"main/binary-amd64/Packages": []byte(texts[i]), "main/binary-amd64/Packages.gz": upstreamtest.Compress([]byte(texts[i]), ".gz")}})
		for path, data := range files {
			tree[path] = data
		}
		w.Server.Set(tree)
	}
	update := func(mirror string, i int) string {
		set(i)
		if err := p.Step("PUT", "/api/mirrors/"+mirror, `{"IgnoreSignatures":true,"IgnoreValidUntil":true}`); err != nil {
			t.Fatalf("%v of\n%s", err, texts[i])
		}
		data, err := p.Do("GET", "/api/mirrors/"+mirror+"/packages?format=details", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	set(0)
	create := func(mirror string) {
		body := strings.Replace(apptest.CreateMirror, `"Name":"m"`, `"IgnoreSignatures":true,"Name":"`+mirror+`"`, 1)
		if _, err := p.Do("POST", "/api/mirrors", "application/json", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	want := make([]string, len(texts))
	for i := range texts {
		create(fmt.Sprint("new", i))
		want[i] = update(fmt.Sprint("new", i), i)
	}
	create("m")
	for i := range texts {
		for j := range i {
			for _, to := range []int{i, j} { // so each text follows each other one
				if got := update("m", to); got != want[to] {
					t.Fatalf("from\n%s\nto\n%s\nthe mirror has\n%s\nwant\n%s", texts[i+j-to], texts[to], got, want[to])
				}
			}
		}
	}
}
