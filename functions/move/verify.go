package move

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
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

	"aptless/core/formats/deb"
)

// Tree reads the files of a published tree.
type Tree interface {
	// Open opens a file. The error matches fs.ErrNotExist if there is none. size -1 is not
	// known.
	Open(ctx context.Context, name string) (body io.ReadCloser, size int64, err error)
}

// Limits of the files of a tree, in bytes.
const (
	maxRelease = 64 << 20
	maxIndex   = 4 << 30
	maxDiffs   = 50 // that are named, for one publication
)

// FolderTree is a tree in a folder.
type FolderTree string

// Open implements Tree.
func (t FolderTree) Open(_ context.Context, name string) (io.ReadCloser, int64, error) {
	if !filepath.IsLocal(name) {
		return nil, 0, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	f, err := os.Open(filepath.Join(string(t), name))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// WebTree is a tree below an address.
type WebTree struct {
	URL  string
	HTTP *http.Client
}

// Open implements Tree.
func (t WebTree) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	// S3 reads a plus in a path as a blank.
	escaped := strings.ReplaceAll((&url.URL{Path: name}).EscapedPath(), "+", "%2B")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(t.URL, "/")+"/"+escaped, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := t.HTTP.Do(req)
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, resp.ContentLength, nil
	}
	resp.Body.Close()
	err = fmt.Errorf("%s: %s", name, resp.Status)
	// S3 answers so for a missing object of a bucket that the sender may not list.
	hidden := resp.StatusCode == http.StatusForbidden && resp.Header.Get("X-Amz-Request-Id") != ""
	if resp.StatusCode == http.StatusNotFound || hidden {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return nil, 0, err
}

// ignored are the fields of a Release that may differ between two servers. Description
// names the program.
var ignored = []string{"Date", "Description", "Valid-Until", "MD5Sum", "SHA1", "SHA256", "SHA512", "Acquire-By-Hash", "Snapshots", "Signed-By"}

// comparison compares one distribution of two trees.
type comparison struct {
	Comparison
	old, new Tree
	diffs    []string
	reading  Tree
	files    map[string]string // sizes of package files by path
}

// Comparison says which distribution of two trees is compared.
type Comparison struct {
	Old, New             Tree
	Prefix, Distribution string
	Sample               int  // package files whose size is compared; 0 is all
	OtherPaths           bool // package files have other paths in the old tree
}

func (c *comparison) differ(format string, args ...any) {
	if len(c.diffs) < maxDiffs {
		c.diffs = append(c.diffs, fmt.Sprintf(format, args...))
	}
}

// Run compares a distribution of two trees and returns the differences. It compares the
// fields of Release besides dates and digests, the stanzas of Packages and Sources, and
// the lines of Contents.
func (of Comparison) Run(ctx context.Context) ([]string, error) {
	c := &comparison{Comparison: of, old: of.Old, new: of.New, files: map[string]string{}}
	prefix := strings.TrimPrefix(of.Prefix, ".")
	dists := path.Join(prefix, "dists", of.Distribution)
	names, err := c.release(ctx, dists)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		at := dists + "/" + name
		read := c.stanzas
		if strings.HasPrefix(path.Base(name), "Contents-") {
			read = lines
		}
		was, err := c.index(ctx, c.old, at, read)
		if err != nil {
			return nil, fmt.Errorf("old: %w", err)
		}
		is, err := c.index(ctx, c.new, at, read)
		if err != nil {
			return nil, fmt.Errorf("new: %w", err)
		}
		c.compare(at, was, is)
	}
	return c.diffs, c.sizes(ctx, prefix)
}

// release compares the two Release files. It returns the indexes of both, without the
// suffixes of compressions.
func (c *comparison) release(ctx context.Context, dists string) ([]string, error) {
	var fields [2]deb.Paragraph
	all := map[string]bool{}
	for i, t := range []Tree{c.old, c.new} {
		data, err := text(ctx, t, dists+"/Release", maxRelease)
		if err != nil {
			return nil, err
		}
		if fields[i], err = deb.ParseParagraph(string(data), deb.ModeRelease); err != nil {
			return nil, err
		}
		addIndexes(all, fields[i])
	}
	for _, f := range fields[0] {
		if got := fields[1].Get(f.Name); got != f.Value && !slices.Contains(ignored, f.Name) {
			c.differ("%s/Release: %s is %q in place of %q", dists, f.Name, got, f.Value)
		}
	}
	for _, f := range fields[1] {
		if _, ok := fields[0].Lookup(f.Name); !ok && !slices.Contains(ignored, f.Name) {
			c.differ("%s/Release: %s is new: %q", dists, f.Name, f.Value)
		}
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// addIndexes adds the names of the indexes that a Release lists.
func addIndexes(all map[string]bool, release deb.Paragraph) {
	for line := range strings.Lines(release.Get("SHA256")) {
		words := strings.Fields(line)
		if len(words) != 3 || strings.Contains(words[2], "by-hash") {
			continue
		}
		name := words[2]
		if ext := path.Ext(name); slices.Contains([]string{".gz", ".bz2", ".xz", ".zst"}, ext) {
			name = strings.TrimSuffix(name, ext)
		}
		base := path.Base(name)
		if base == "Packages" || base == "Sources" || strings.HasPrefix(base, "Contents-") {
			all[name] = true
		}
	}
}

// text reads a small file.
func text(ctx context.Context, t Tree, name string, limit int64) ([]byte, error) {
	body, _, err := t.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, limit))
}

// index reads an index, plain or by gzip, as a set. A missing one is empty.
func (c *comparison) index(ctx context.Context, t Tree, name string, read func(io.Reader) (map[string]string, error)) (map[string]string, error) {
	c.reading = t
	body, _, err := t.Open(ctx, name)
	if err == nil {
		defer body.Close()
		return read(io.LimitReader(body, maxIndex))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	body, _, err = t.Open(ctx, name+".gz")
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	plain, err := gzip.NewReader(body)
	if err != nil {
		return nil, fmt.Errorf("%s.gz: %w", name, err)
	}
	return read(io.LimitReader(plain, maxIndex))
}

// stanzas returns the digest of each stanza, and the package's name and version. Fields
// have any order. Of the digests SHA256 counts.
func (c *comparison) stanzas(r io.Reader) (map[string]string, error) {
	in, all := deb.NewParagraphReader(r, deb.ModeControl), map[string]string{}
	for {
		p, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var lines []string
		for _, f := range p {
			switch f.Name {
			case "MD5Sum", "SHA1", "SHA512", "Files", "Checksums-Sha1", "Checksums-Sha512":
				continue
			}
			if !c.OtherPaths || f.Name != "Filename" && f.Name != "Directory" {
				words := strings.Fields(f.Value)
				if f.Name == "Checksums-Sha256" || f.Name == "Package-List" {
					slices.Sort(words) // files have any order
				}
				lines = append(lines, f.Name+": "+strings.Join(words, " "))
			}
		}
		slices.Sort(lines)
		sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
		all[string(sum[:])] = p.Get("Package") + " " + p.Get("Version") + " " + p.Get("Architecture")
		if f := p.Get("Filename"); f != "" && (c.reading == c.new || !c.OtherPaths) {
			c.files[f] = p.Get("Size")
		}
	}
}

// lines returns the digest of each line of a Contents.
func lines(r io.Reader) (map[string]string, error) {
	all := map[string]string{}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			words := strings.Fields(string(line))
			packages := strings.Split(words[len(words)-1], ",")
			slices.Sort(packages)
			sum := sha256.Sum256([]byte(strings.Join(words[:len(words)-1], " ") + "\x00" + strings.Join(packages, ",")))
			if len(words) > 1 && words[0] != "FILE" {
				all[string(sum[:])] = words[0]
			}
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// compare compares two sets.
func (c *comparison) compare(name string, was, is map[string]string) {
	for _, side := range []struct {
		in, out map[string]string
		word    string
	}{{was, is, "is missing or differs"}, {is, was, "is new or differs"}} {
		var found []string
		for sum, title := range side.in {
			if _, ok := side.out[sum]; !ok {
				found = append(found, title)
			}
		}
		slices.Sort(found)
		for i, title := range found {
			if i == 3 {
				c.differ("%s: %d more", name, len(found)-i)
				break
			}
			c.differ("%s: %s %s", name, title, side.word)
		}
	}
}

// sizes looks at package files of the new tree.
func (c *comparison) sizes(ctx context.Context, prefix string) error {
	for i, name := range slices.Sorted(maps.Keys(c.files)) {
		if c.Sample > 0 && i%max(1, len(c.files)/c.Sample) != 0 {
			continue
		}
		body, size, err := c.new.Open(ctx, strings.TrimPrefix(prefix+"/"+name, "/"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err != nil {
			c.differ("%s is missing", name)
			continue
		}
		body.Close()
		if size >= 0 && fmt.Sprint(size) != c.files[name] {
			c.differ("%s has %d bytes in place of %s", name, size, c.files[name])
		}
	}
	return nil
}
