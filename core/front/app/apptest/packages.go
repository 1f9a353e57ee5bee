package apptest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// SigningTime is the creation time of the keys of Signer.
var SigningTime = time.Date(2010, 1, 2, 3, 4, 5, 0, time.UTC)

// Signer returns a signer with a new key.
func Signer(t testing.TB) pgp.Signer {
	t.Helper()
	key, err := pgp.Generate("Test", "test@example.org", pgp.Ed25519, SigningTime)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// Deb builds a binary package with one file (deb(5)).
func Deb(name, version, arch string) []byte {
	archive := func(file, text string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		w.WriteHeader(&tar.Header{Name: file, Size: int64(len(text)), Mode: 0o644})
		io.WriteString(w, text)
		w.Close()
		return b.Bytes()
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar", archive("./control", fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: A <a@example.org>\nDescription: d\n", name, version, arch))},
		{"data.tar", archive("./usr/share/"+name, version)},
	} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		b.Write(m.data)
	}
	return b.Bytes()
}

// DebKey returns the key of the package that Deb builds with version 1 for amd64.
func DebKey(name string) string {
	data := Deb(name, "1", "amd64")
	h := deb.NewHasher()
	h.Write(data)
	control := fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: amd64\n", name)
	paragraph, err := deb.ParseParagraph(control, deb.ModeControl)
	if err != nil {
		panic(err)
	}
	p, err := deb.BinaryPackage(paragraph, deb.Binary, h.File(name+"_1_amd64.deb"))
	if err != nil {
		panic(err)
	}
	return p.Key()
}

// JSON returns the JSON of v.
func JSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
