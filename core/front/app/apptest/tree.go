package apptest

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"

	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

const (
	// PublishBody creates the publication stable of the repository r.
	PublishBody = `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"r"}]}`
	// Unsigned is the JSON field that leaves a publication unsigned.
	Unsigned = `"Signing":{"Skip":true}`
)

// VerifyTree reads a published distribution as apt does. It returns the packages as
// "name=version", by the path of their index.
func VerifyTree(objects map[string]string, dist string) (map[string][]string, error) {
	root := "public/dists/" + dist + "/"
	release, ok := objects[root+"Release"]
	if !ok {
		return nil, fmt.Errorf("no Release")
	}
	text, signed, err := pgp.StripClearsign([]byte(objects[root+"InRelease"]))
	if err != nil || !signed || strings.TrimRight(string(text), "\n") != strings.TrimRight(release, "\n") {
		return nil, fmt.Errorf("InRelease is not Release, signed: %v", err)
	}
	found := map[string][]string{}
	_, sums, _ := strings.Cut(release, "SHA256:\n")
	sums, _, _ = strings.Cut(sums, "SHA512:")
	for line := range strings.Lines(sums) {
		var sum, name string
		var size int
		if _, err := fmt.Sscanf(line, "%s %d %s", &sum, &size, &name); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		if base := path.Base(name); strings.HasPrefix(base, "Contents-") && !strings.HasSuffix(base, ".gz") {
			continue // a listed file is missing in the tree
		}
		for _, key := range []string{root + name, path.Join(root, path.Dir(name), "by-hash/SHA256", sum)} {
			h := deb.NewHasher()
			io.WriteString(h, objects[key])
			if f := h.File(""); f.SHA256 != sum || f.Size != int64(size) {
				return nil, fmt.Errorf("%s is not as Release says", key)
			}
		}
		if !strings.HasSuffix(name, "/Packages") {
			continue
		}
		if found[name], err = packagesOf(objects, name, objects[root+name]); err != nil {
			return nil, err
		}
		if found[name] == nil {
			delete(found, name)
		}
	}
	return found, nil
}

// packagesOf reads an index and checks the files of its packages.
func packagesOf(objects map[string]string, name, index string) (found []string, err error) {
	for stanza := range strings.SplitSeq(index, "\n\n") {
		p, err := deb.ParseParagraph(stanza, deb.ModeControl)
		if err != nil {
			return nil, err
		}
		if p.Get("Package") == "" {
			continue
		}
		h := deb.NewHasher()
		io.WriteString(h, objects["public/"+p.Get("Filename")])
		if h.File("").SHA256 != p.Get("SHA256") {
			return nil, fmt.Errorf("%s is not as %s says", p.Get("Filename"), name)
		}
		found = append(found, p.Get("Package")+"="+p.Get("Version"))
	}
	return found, nil
}

// File reads a published file. It returns "" if there is none.
func (p *Process) File(t *testing.T, path string) string {
	t.Helper()
	code, got := p.Send(t, "GET", path, "", nil)
	if code == http.StatusNotFound {
		return ""
	}
	if code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, code, got)
	}
	return got
}

// Indexed returns the packages of an index, "name=version".
func (p *Process) Indexed(t *testing.T, path string) string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile(`(?m)^Package: (.*)\n(?:[^\n]+\n)*?Version: (.*)\n`).FindAllStringSubmatch(p.File(t, path), -1) {
		found = append(found, m[1]+"="+m[2])
	}
	return strings.Join(found, " ")
}
