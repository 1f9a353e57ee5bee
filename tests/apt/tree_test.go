package apt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// unsignedTree builds a tree without any external program.
func unsignedTree(t *testing.T) map[string][]byte {
	t.Helper()
	tree := map[string][]byte{"pool/a.deb": []byte("package a"), "pool/a.dsc": []byte("source a")}
	publish(t, tree, map[string]string{
		"main/binary-amd64/Packages": "Package: a\nVersion: 1\nArchitecture: all\n" + announce("pool/a.deb", tree["pool/a.deb"]),
		"main/source/Sources": fmt.Sprintf("Package: a\nVersion: 1\nDirectory: pool\nChecksums-Sha256:\n %x %d a.dsc\n",
			sha256.Sum256(tree["pool/a.dsc"]), len(tree["pool/a.dsc"])),
	})
	return tree
}

func announce(path string, b []byte) string {
	return fmt.Sprintf("Filename: %s\nSize: %d\nSHA256: %x\n", path, len(b), sha256.Sum256(b))
}

// republish replaces the indexes of a tree by one Packages file.
func republish(t *testing.T, tree map[string][]byte, packages string) {
	maps.DeleteFunc(tree, func(name string, _ []byte) bool { return strings.HasPrefix(name, dists) })
	publish(t, tree, map[string]string{"main/binary-amd64/Packages": packages, "main/source/Sources": ""})
}

// edit replaces text in one file. It fails if the text is missing.
func edit(t *testing.T, tree map[string][]byte, name, old, with string) {
	t.Helper()
	if !bytes.Contains(tree[name], []byte(old)) {
		t.Fatalf("no %q in %s", old, name)
	}
	tree[name] = bytes.ReplaceAll(tree[name], []byte(old), []byte(with))
}

func TestVerify(t *testing.T) {
	const (
		release = dists + "/Release"
		plain   = dists + "/main/binary-amd64/Packages"
		head    = "Package: a\nVersion: 1\nArchitecture: amd64\n"
	)
	a := announce("pool/a.deb", []byte("package a"))
	type tree = map[string][]byte
	byHash := func(tree tree, name, algorithm string) string {
		for p, b := range tree {
			if strings.HasPrefix(p, dists+"/main/binary-amd64/by-hash/"+algorithm+"/") && bytes.Equal(b, tree[name]) {
				return p
			}
		}
		t.Fatalf("no %s of %s", algorithm, name)
		return ""
	}
	for name, tc := range map[string]struct {
		change func(tree tree)
		want   string
	}{
		"untouched":            {func(tree) {}, ""},
		"no plain index":       {func(tree tree) { delete(tree, plain) }, ""},
		"weak digest missing":  {func(tree tree) { delete(tree, byHash(tree, plain+".gz", "MD5Sum")) }, ""},
		"no Release":           {func(tree tree) { delete(tree, release) }, "Release: file does not exist"},
		"no compressed index":  {func(tree tree) { delete(tree, plain+".gz") }, "Packages.gz: "},
		"no index":             {func(tree tree) { delete(tree, plain); delete(tree, plain+".gz") }, "Packages is listed and not there"},
		"not by hash":          {func(tree tree) { delete(tree, byHash(tree, plain+".gz", "SHA256")) }, "Packages.gz is not there by its SHA256"},
		"other by hash":        {func(tree tree) { tree[byHash(tree, plain+".gz", "SHA256")] = nil }, "Packages.gz by its SHA256: has 0 bytes"},
		"other by weak hash":   {func(tree tree) { tree[byHash(tree, plain+".gz", "MD5Sum")] = nil }, "Packages.gz by its MD5Sum: has 0 bytes"},
		"other index":          {func(tree tree) { edit(t, tree, plain, "Package: a", "Package: b") }, "binary-amd64/Packages: has SHA256"},
		"no package file":      {func(tree tree) { delete(tree, "pool/a.deb") }, "pool/a.deb: pool/a.deb: file does not exist"},
		"other package file":   {func(tree tree) { tree["pool/a.deb"] = []byte("package b") }, "pool/a.deb: has SHA256"},
		"short package file":   {func(tree tree) { tree["pool/a.deb"] = nil }, "pool/a.deb: has 0 bytes, not 9"},
		"no source file":       {func(tree tree) { delete(tree, "pool/a.dsc") }, "pool/a.dsc: file does not exist"},
		"other suite":          {func(tree tree) { edit(t, tree, release, "stable", "sid") }, `is for suite "sid"`},
		"no date":              {func(tree tree) { edit(t, tree, release, "Date:", "Day:") }, `Date ""`},
		"valid until before":   {func(tree tree) { edit(t, tree, release, "Date:", "Valid-Until: Mon, 02 Jan 2006 15:04:05 UTC\nDate:") }, "Valid-Until"},
		"architecture missing": {func(tree tree) { edit(t, tree, release, "amd64 source", "amd64 arm64 source") }, "lists no main/binary-arm64/Packages"},
		"component missing":    {func(tree tree) { edit(t, tree, release, "Components: main", "Components: main x") }, "lists no x/binary-amd64/Packages"},
		"no SHA256":            {func(tree tree) { edit(t, tree, release, "SHA256:", "SHA257:") }, "is not listed under SHA256"},
		"leads out":            {func(tree tree) { edit(t, tree, release, " main/source/Sources\n", " ../x/Sources\n") }, `path "../x/Sources"`},
		"two paragraphs":       {func(tree tree) { edit(t, tree, release, "MD5Sum:", "\nMD5Sum:") }, "2 paragraphs"},
		"field twice":          {func(tree tree) { edit(t, tree, release, "Suite:", "Origin: x\nSuite:") }, "field origin twice"},
		"package twice":        {func(tree tree) { republish(t, tree, head+a+"\n"+head+a) }, "twice"},
		"other architecture":   {func(tree tree) { republish(t, tree, strings.Replace(head, "amd64", "i386", 1)+a) }, `architecture "i386"`},
		"no file name":         {func(tree tree) { republish(t, tree, head+"Size: 9\nSHA256: 00\n") }, `path ""`},
		"absolute file name":   {func(tree tree) { republish(t, tree, head+strings.Replace(a, "pool", "/pool", 1)) }, `path "/pool/a.deb"`},
		"no size":              {func(tree tree) { republish(t, tree, head+strings.Replace(a, "Size", "Sise", 1)) }, `size ""`},
		"package without sum":  {func(tree tree) { republish(t, tree, head+strings.Replace(a, "SHA256", "SHA2", 1)) }, "no SHA256 of pool/a.deb"},
		"no last line break":   {func(tree tree) { republish(t, tree, strings.TrimSuffix(head+a, "\n")) }, "the last line has no end"},
		"two files of a name": {func(tree tree) {
			republish(t, tree, head+a+"\n"+strings.Replace(head, "1", "2", 1)+strings.Replace(a, "Size: 9", "Size: 8", 1))
		}, "two different files"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := unsignedTree(t)
			tc.change(tree)
			checkError(t, Tree{Fetch: FetchMap(tree), Unsigned: true}.Verify(t.Context(), "stable"), tc.want)
		})
	}
}

// TestVerifyCompressed has two forms of an index that differ, both correctly listed.
func TestVerifyCompressed(t *testing.T) {
	tree := unsignedTree(t)
	const name = "main/source/Sources"
	gz := compress(t, "something else\n")
	old := tree[dists+"/"+name+".gz"]
	edit(t, tree, dists+"/Release", fmt.Sprintf("%x %d %s.gz", sha256.Sum256(old), len(old), name), fmt.Sprintf("%x %d %s.gz", sha256.Sum256(gz), len(gz), name))
	release, _, _ := strings.Cut(string(tree[dists+"/Release"]), "MD5Sum:")
	_, sums, _ := strings.Cut(string(tree[dists+"/Release"]), "SHA256:")
	tree[dists+"/Release"] = []byte(strings.Replace(release, "Acquire-By-Hash: yes\n", "", 1) + "SHA256:" + sums)
	tree[dists+"/"+name+".gz"] = gz
	checkError(t, Tree{Fetch: FetchMap(tree), Unsigned: true}.Verify(t.Context(), "stable"), "holds something else than "+name)
}

// TestInFlight has a tree whose plain names belong to another publication.
func TestInFlight(t *testing.T) {
	tree := unsignedTree(t)
	tree[dists+"/InRelease"] = fmt.Appendf(nil, "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n%s\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n", bytes.TrimSuffix(tree[dists+"/Release"], []byte("\n")))
	tree[dists+"/Release.gpg"] = nil
	whole, flying := Tree{Fetch: FetchMap(tree)}, Tree{Fetch: FetchMap(tree), InFlight: true}
	checkError(t, whole.Verify(t.Context(), "stable"), "")
	checkError(t, flying.Verify(t.Context(), "stable"), "")
	tree[dists+"/main/binary-amd64/Packages"] = []byte("of the next one")
	delete(tree, dists+"/Release.gpg")
	checkError(t, flying.Verify(t.Context(), "stable"), "")
	checkError(t, whole.Verify(t.Context(), "stable"), "Release.gpg: file does not exist")
	delete(tree, "pool/a.deb")
	checkError(t, flying.Verify(t.Context(), "stable"), "pool/a.deb: file does not exist")
	edit(t, tree, dists+"/InRelease", "By-Hash: yes", "By-Hash: no")
	checkError(t, flying.Verify(t.Context(), "stable"), "torn tree")
}

func TestSignatureCallbacks(t *testing.T) {
	tree := unsignedTree(t)
	tree[dists+"/InRelease"] = fmt.Appendf(nil, "-----BEGIN PGP SIGNED MESSAGE-----\n\n%s-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n", tree[dists+"/Release"])
	tree[dists+"/Release.gpg"] = []byte("sig")
	refuse := errors.New("refused")
	v := Tree{Fetch: FetchMap(tree), InRelease: func(context.Context, []byte) error { return refuse }}
	if err := v.Verify(t.Context(), "stable"); !errors.Is(err, refuse) {
		t.Errorf("InRelease: %v", err)
	}
	v = Tree{Fetch: FetchMap(tree), Release: func(_ context.Context, text, sig []byte) error {
		if string(sig) != "sig" || !bytes.Equal(text, tree[dists+"/Release"]) {
			t.Errorf("asked about %q", sig)
		}
		return refuse
	}}
	if err := v.Verify(t.Context(), "stable"); !errors.Is(err, refuse) {
		t.Errorf("Release: %v", err)
	}
}

func TestCleartext(t *testing.T) {
	const begin, sig = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n", "\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
	for name, tc := range map[string]struct {
		msg, want string
		ok        bool
	}{
		"plain":     {begin + "a\nb" + sig, "a\nb", true},
		"escaped":   {begin + "- -a\nb" + sig, "-a\nb", true},
		"before":    {"x\n" + begin + "a" + sig, "", false},
		"after":     {begin + "a" + sig + "x\n", "", false},
		"twice":     {begin + "a" + sig + begin + "a" + sig, "", false},
		"cut":       {(begin + "a" + sig)[:80], "", false},
		"no header": {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: x\n", "", false},
	} {
		got, err := cleartext(tc.msg)
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestDearmor(t *testing.T) {
	const begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
	for name, tc := range map[string]struct {
		key, want string
		ok        bool
	}{
		"binary":    {"\x99\x01", "\x99\x01", true},
		"armored":   {begin + "\naGVs\nbG8=" + end, "hello", true},
		"header":    {begin + "Comment: x\n\naGVsbG8=" + end, "hello", true},
		"CRLF":      {strings.ReplaceAll(begin+"\naGVsbG8="+end, "\n", "\r\n"), "hello", true},
		"no end":    {begin + "\naGVsbG8=", "", false},
		"no base64": {begin + "\n!" + end, "", false},
	} {
		got, err := dearmor([]byte(tc.key))
		if string(got) != tc.want || (err == nil) != tc.ok {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// FuzzStanzas holds that written fields parse to the same fields.
func FuzzStanzas(f *testing.F) {
	f.Add("Package: a\nVersion: 1\nDescription: x\n y\n .\n\n\nPackage: b\n")
	f.Add(" x\n")
	f.Add("a:\n 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := stanzas(text)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, s := range all {
			if len(s) == 0 {
				t.Fatal("an empty paragraph")
			}
			for name, value := range s {
				fmt.Fprintf(&b, "%s: %s\n", name, value)
			}
			b.WriteString("\n")
		}
		again, err := stanzas(b.String())
		if err != nil || len(again) != len(all) {
			t.Fatalf("%d paragraphs, then %d: %v", len(all), len(again), err)
		}
		for i := range all {
			if !maps.Equal(all[i], again[i]) {
				t.Errorf("%v, then %v", all[i], again[i])
			}
		}
	})
}
