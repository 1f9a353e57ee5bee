package differential

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb"
)

// tree parses the published tree of a storage into values whose fields can be compared.
func (s *system) tree(t *testing.T, storage string, key signingKey) answer {
	t.Helper()
	root := s.public[storage]
	found := answer{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // aptless removes files of dropped publications after its answer
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if strings.Contains(rel, "/by-hash/") {
			return nil // a file under two names is compared once
		}
		found[rel] = read(t, rel, data, key)
		return nil
	})
	must(t, err)
	return found
}

// read parses a published file.
func read(t *testing.T, name string, data []byte, key signingKey) any {
	t.Helper()
	base := filepath.Base(name)
	switch {
	case base == "InRelease":
		text, _, err := key.ring.VerifyClearsigned(data, time.Time{})
		if err != nil {
			return "not signed: " + err.Error()
		}
		return release(text)
	case base == "Release":
		return release(data)
	case base == "Release.gpg":
		return "a signature"
	case strings.HasSuffix(base, ".gz") && !strings.Contains(name, "pool/"):
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return err.Error()
		}
		return index(strings.TrimSuffix(base, ".gz"), r)
	case strings.HasSuffix(base, ".bz2") && !strings.Contains(name, "pool/"):
		return index(strings.TrimSuffix(base, ".bz2"), bzip2.NewReader(bytes.NewReader(data)))
	case base == "Packages" || base == "Sources":
		return index(base, bytes.NewReader(data))
	}
	h := deb.NewHasher()
	h.Write(data)
	return h.File(base).SHA256
}

// release returns the fields of a Release file. Its lists become lists of names.
func release(text []byte) any {
	p, err := deb.ParseParagraph(string(text), deb.ModeRelease)
	if err != nil {
		return err.Error()
	}
	fields := map[string]any{}
	var order []any
	for _, f := range p {
		order = append(order, f.Name)
		switch f.Name {
		case "Date":
			fields[f.Name] = "<time>"
		case "MD5Sum", "SHA1", "SHA256", "SHA512":
			var names []any
			for line := range strings.Lines(f.Value) {
				names = append(names, strings.Fields(line)[2])
			}
			slices.SortFunc(names, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			fields[f.Name] = names
		default:
			fields[f.Name] = f.Value
		}
	}
	fields["order of fields"] = order
	return fields
}

// index returns the stanzas of an index in order, or the lines of Contents.
func index(name string, r io.Reader) any {
	data, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	if name != "Packages" && name != "Sources" {
		return string(data)
	}
	var all []any
	for stanza := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\n") {
		p, err := deb.ParseParagraph(stanza, deb.ModeControl)
		if err != nil {
			return err.Error()
		}
		fields := map[string]any{}
		var order []any
		for _, f := range p {
			order = append(order, f.Name)
			fields[f.Name] = f.Value
		}
		fields["order of fields"] = order
		all = append(all, fields)
	}
	return all
}
