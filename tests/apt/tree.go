package apt

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// algorithms are the digests of a Release file, strongest first. The names of by-hash
// folders equal the names of the fields.
var algorithms = []string{"SHA512", "SHA256", "SHA1", "MD5Sum"}

// maxProblems bounds the number of problems that Verify returns.
const maxProblems = 20

// Fetch reads a file of a published tree by its path below the root. The error of a
// missing file is fs.ErrNotExist.
type Fetch func(ctx context.Context, path string) ([]byte, error)

// Tree is a published tree to be checked as a whole.
type Tree struct {
	Fetch Fetch

	// InRelease and Release check signatures; see GPGVBytes. A nil function is not called,
	// but its file must exist. With Unsigned only Release must exist.
	InRelease func(ctx context.Context, signed []byte) error
	Release   func(ctx context.Context, text, sig []byte) error
	Unsigned  bool

	// InFlight allows an interrupted publication. Then only files that apt reads by hash must
	// match InRelease. Plain names of indexes and Release may be older or newer.
	InFlight bool
}

// Verify checks one distribution and returns all problems. It checks that:
//
//   - the signatures are good, and Release is the text of InRelease;
//   - Release is for suite, has a date, and lists each file in every digest;
//   - Release lists a Packages file for each component and architecture;
//   - each listed file exists with its size and digests, under its name and by hash,
//     except an uncompressed file with a compressed form;
//   - compressed indexes contain the listed uncompressed ones;
//   - every package of a Packages or Sources file occurs once and has the index's
//     architecture;
//   - the files of packages have the listed sizes and digests.
func (t Tree) Verify(ctx context.Context, suite string) error {
	v := &verifier{Tree: t, dists: "dists/" + suite, pool: map[string]file{}}
	text, err := v.release(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", v.dists, err)
	}
	v.index(ctx, suite, text)
	if len(v.problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", v.dists, errors.Join(v.problems...))
}

// VerifyTree checks one distribution without its signatures.
func VerifyTree(ctx context.Context, fetch Fetch, suite string) error {
	return Tree{Fetch: fetch}.Verify(ctx, suite)
}

type verifier struct {
	Tree
	dists    string
	byHash   bool
	files    map[string]file // files that Release lists
	pool     map[string]file // checked package files, by path
	problems []error
}

func (v *verifier) fail(format string, args ...any) {
	if len(v.problems) < maxProblems {
		v.problems = append(v.problems, fmt.Errorf(format, args...))
	}
}

// release returns the text that apt would accept.
func (v *verifier) release(ctx context.Context) (string, error) {
	if v.Unsigned {
		b, err := v.Fetch(ctx, v.dists+"/Release")
		return string(b), err
	}
	signed, err := v.Fetch(ctx, v.dists+"/InRelease")
	if err != nil {
		return "", err
	}
	text, err := cleartext(string(signed))
	if err != nil {
		return "", fmt.Errorf("InRelease: %w", err)
	}
	if v.InRelease != nil {
		if err := v.InRelease(ctx, signed); err != nil {
			return "", fmt.Errorf("InRelease: %w", err)
		}
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n" // the last line break belongs to the signature
	}
	if v.InFlight {
		return text, nil
	}
	plain, err := v.Fetch(ctx, v.dists+"/Release")
	if err != nil {
		return "", err
	}
	if string(plain) != text {
		return "", errors.New("the text of InRelease is not Release")
	}
	sig, err := v.Fetch(ctx, v.dists+"/Release.gpg")
	if err != nil {
		return "", err
	}
	if v.Release != nil {
		if err := v.Release(ctx, plain, sig); err != nil {
			return "", fmt.Errorf("signature in Release.gpg: %w", err)
		}
	}
	return text, nil
}

// dates checks that Release has a date, and a later Valid-Until if any.
func (v *verifier) dates(rel map[string]string) {
	date, err := time.Parse(time.RFC1123, rel["date"])
	if err != nil {
		v.fail("Release: Date %q", rel["date"])
	}
	if until := rel["valid-until"]; until != "" {
		if u, err := time.Parse(time.RFC1123, until); err != nil || !u.After(date) {
			v.fail("Release: Valid-Until %q, Date %q", until, rel["date"])
		}
	}
}

// index checks Release and every file that it lists.
func (v *verifier) index(ctx context.Context, suite, text string) {
	all, err := stanzas(text)
	if err != nil || len(all) != 1 {
		v.fail("Release: %d paragraphs, want 1: %v", len(all), err)
		return
	}
	rel := all[0]
	if rel["suite"] != suite && rel["codename"] != suite {
		v.fail("Release is for suite %q, codename %q", rel["suite"], rel["codename"])
	}
	v.dates(rel)
	v.byHash = rel["acquire-by-hash"] == "yes"
	if v.InFlight && !v.byHash {
		v.fail("Release: Acquire-By-Hash is %q, so that a reader can see a torn tree", rel["acquire-by-hash"])
	}
	v.files = map[string]file{}
	for _, a := range algorithms {
		if err := parseSums(rel[strings.ToLower(a)], a, v.files); err != nil {
			v.fail("Release: %v", err)
			return
		}
	}
	v.lists(rel)
	plain := map[string]bool{} // uncompressed names of the indexes read
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		if b, ok := v.listed(ctx, name); ok {
			v.content(ctx, name, b, plain)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		if base, _ := splitSuffix(name); !plain[base] {
			v.fail("%s is listed and not there, nor compressed", base)
			plain[base] = true
		}
	}
}

// lists checks that all files have the same digests, including SHA-256, and that no
// Packages file is missing.
func (v *verifier) lists(rel stanza) {
	for _, name := range slices.Sorted(maps.Keys(v.files)) {
		for _, a := range algorithms {
			if _, has := v.files[name].sums[a]; !has && (rel[strings.ToLower(a)] != "" || a == "SHA256") {
				v.fail("Release: %s is not listed under %s", name, a)
			}
		}
	}
	if rel["components"] == "" || rel["architectures"] == "" {
		v.fail("Release: Components %q, Architectures %q", rel["components"], rel["architectures"])
	}
	for _, c := range strings.Fields(rel["components"]) {
		for _, a := range strings.Fields(rel["architectures"]) {
			name := c + "/binary-" + a + "/Packages"
			if a == "source" {
				name = c + "/source/Sources"
			}
			if !v.has(name) {
				v.fail("Release lists no %s, compressed or not", name)
			}
		}
	}
}

// has reports whether Release lists a file, compressed or not.
func (v *verifier) has(name string) bool {
	_, ok := v.files[name]
	return ok || slices.ContainsFunc(suffixes, func(s string) bool { _, ok := v.files[name+s]; return ok })
}

// listed reads a listed file, under its name and by hash. It reports whether the file is
// as listed.
func (v *verifier) listed(ctx context.Context, name string) ([]byte, bool) {
	f, at := v.files[name], v.dists+"/"+name
	var b []byte
	found := false
	if !v.InFlight {
		var err error
		if b, err = v.Fetch(ctx, at); err != nil {
			v.missing(name, err)
			return nil, false
		}
		if err := f.check(b); err != nil {
			v.fail("%s: %v", name, err)
			return nil, false
		}
		found = true
	}
	if !v.byHash {
		return b, found
	}
	best := true // apt requests only the strongest digest
	for _, a := range algorithms {
		sum, ok := f.sums[a]
		if !ok {
			continue
		}
		h, err := v.Fetch(ctx, path.Join(path.Dir(at), "by-hash", a, sum))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if best && found {
				v.fail("%s is not there by its %s", name, a)
			} else if best {
				v.missing(name, fmt.Errorf("not there by its %s: %w", a, err))
			}
		case err != nil:
			v.fail("%s by its %s: %v", name, a, err)
		default:
			if err := f.check(h); err != nil {
				v.fail("%s by its %s: %v", name, a, err)
			} else if best {
				b, found = h, true
			}
		}
		best = false
	}
	return b, found
}

// missing records that a listed file could not be read. A missing uncompressed file is no
// problem yet: index checks that one form was read.
func (v *verifier) missing(name string, err error) {
	if _, suffix := splitSuffix(name); suffix != "" || !errors.Is(err, fs.ErrNotExist) {
		v.fail("%s: %v", name, err)
	}
}

// content checks the content of a file with correct digests.
func (v *verifier) content(ctx context.Context, name string, b []byte, seen map[string]bool) {
	base, suffix := splitSuffix(name)
	text, err := decompress(b, suffix)
	if err != nil {
		v.fail("%s: %v", name, err)
		return
	}
	if f, ok := v.files[base]; ok {
		if err := f.check(text); err != nil {
			v.fail("%s holds something else than %s is announced to be: %v", name, base, err)
			return
		}
	}
	if seen[base] {
		return // another form of the index was checked
	}
	seen[base] = true
	switch path.Base(base) {
	case "Packages":
		v.packages(ctx, base, string(text))
	case "Sources":
		v.sources(ctx, base, string(text))
	}
}

func (v *verifier) packages(ctx context.Context, name, text string) {
	all, err := stanzas(text)
	if err != nil {
		v.fail("%s: %v", name, err)
	}
	arch := strings.TrimPrefix(path.Base(path.Dir(name)), "binary-")
	seen := map[[3]string]bool{}
	for i, s := range all {
		id := [3]string{s["package"], s["version"], s["architecture"]}
		if id[0] == "" || id[1] == "" || id[2] != arch && id[2] != "all" {
			v.fail("%s: paragraph %d is of package %q, version %q, architecture %q", name, i+1, id[0], id[1], id[2])
		}
		if seen[id] {
			v.fail("%s: %v twice", name, id)
		}
		seen[id] = true
		f := file{sums: map[string]string{}}
		if f.size, err = parseSize(s["size"]); err != nil {
			v.fail("%s: %v: %v", name, id, err)
		}
		for _, a := range algorithms {
			if sum := s[strings.ToLower(a)]; sum != "" {
				f.sums[a] = sum
			}
		}
		v.poolFile(ctx, fmt.Sprintf("%s: %v", name, id), s["filename"], f)
	}
}

func (v *verifier) sources(ctx context.Context, name, text string) {
	all, err := stanzas(text)
	if err != nil {
		v.fail("%s: %v", name, err)
	}
	seen := map[[2]string]bool{}
	for i, s := range all {
		id := [2]string{s["package"], s["version"]}
		if id[0] == "" || id[1] == "" || seen[id] {
			v.fail("%s: paragraph %d is of package %q, version %q, or it is there twice", name, i+1, id[0], id[1])
		}
		seen[id] = true
		files := map[string]file{}
		for field, a := range map[string]string{"files": "MD5Sum", "checksums-sha1": "SHA1", "checksums-sha256": "SHA256", "checksums-sha512": "SHA512"} {
			if err := parseSums(s[field], a, files); err != nil {
				v.fail("%s: %v: %v", name, id, err)
			}
		}
		if len(files) == 0 {
			v.fail("%s: %v has no files", name, id)
		}
		for _, f := range slices.Sorted(maps.Keys(files)) {
			v.poolFile(ctx, fmt.Sprintf("%s: %v", name, id), path.Join(s["directory"], f), files[f])
		}
	}
}

// poolFile checks a package's file, once for each path.
func (v *verifier) poolFile(ctx context.Context, who, at string, f file) {
	if err := checkPath(at); err != nil {
		v.fail("%s: %v", who, err)
		return
	}
	if f.sums["SHA256"] == "" {
		v.fail("%s: no SHA256 of %s", who, at)
		return
	}
	if known, ok := v.pool[at]; ok {
		if known.size != f.size || known.sums["SHA256"] != f.sums["SHA256"] {
			v.fail("%s: %s is announced as two different files", who, at)
		}
		return
	}
	v.pool[at] = f
	b, err := v.Fetch(ctx, at)
	if err == nil {
		err = f.check(b)
	}
	if err != nil {
		v.fail("%s: %s: %v", who, at, err)
	}
}

// check reports the differences of b from the listed file.
func (f file) check(b []byte) error {
	if int64(len(b)) != f.size {
		return fmt.Errorf("has %d bytes, not %d", len(b), f.size)
	}
	for _, a := range algorithms {
		want, ok := f.sums[a]
		if !ok {
			continue
		}
		var sum []byte
		switch a {
		case "SHA512":
			s := sha512.Sum512(b)
			sum = s[:]
		case "SHA256":
			s := sha256.Sum256(b)
			sum = s[:]
		case "SHA1":
			s := sha1.Sum(b)
			sum = s[:]
		case "MD5Sum":
			s := md5.Sum(b)
			sum = s[:]
		}
		if got := hex.EncodeToString(sum); got != want {
			return fmt.Errorf("has %s %s, not %s", a, got, want)
		}
	}
	return nil
}

// FetchHTTP reads from a server; root is the URL of the directory above dists.
func FetchHTTP(client *http.Client, root string) Fetch {
	return func(ctx context.Context, p string) ([]byte, error) {
		u := strings.TrimSuffix(root, "/") + "/" + (&url.URL{Path: p}).EscapedPath()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			return nil, fmt.Errorf("%s: %w", p, fs.ErrNotExist)
		}
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s", p, resp.Status)
		}
		var b bytes.Buffer
		if _, err := io.Copy(&b, io.LimitReader(resp.Body, maxPlain)); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		return b.Bytes(), nil
	}
}

// FetchDir reads from a folder.
func FetchDir(dir string) Fetch {
	return func(_ context.Context, p string) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
	}
}

// FetchMap reads from a map of contents by path.
func FetchMap(files map[string][]byte) Fetch {
	return func(_ context.Context, p string) ([]byte, error) {
		b, ok := files[p]
		if !ok {
			return nil, fmt.Errorf("%s: %w", p, fs.ErrNotExist)
		}
		return b, nil
	}
}
