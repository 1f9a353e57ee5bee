package deb

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrMismatch says that a file is not the one that was announced.
var ErrMismatch = errors.New("mismatch")

// Changes is what a .changes says about an upload.
type Changes struct {
	Paragraph     Paragraph // all of it, without a signature
	Source        string    // the Source field verbatim
	Distribution  string
	Architectures []string // the words of Architecture
	Binaries      []string // the words of Binary
	Files         []File   // ascending by name
}

// ParseChanges reads the paragraph of a .changes.
func ParseChanges(p Paragraph) (*Changes, error) {
	files, err := listedFiles(p)
	if err != nil {
		return nil, err
	}
	return &Changes{
		Paragraph:     p,
		Source:        p.Get("Source"),
		Distribution:  p.Get("Distribution"),
		Architectures: strings.Fields(p.Get("Architecture")),
		Binaries:      strings.Fields(p.Get("Binary")),
		Files:         files,
	}, nil
}

// Accepts reports whether the .changes announces p: its architecture is one of
// those named, or "all", and it is the source package or a binary named, or
// the debug symbols of such a binary.
func (c *Changes) Accepts(p *Package) bool {
	if p.Architecture != AllArch && !slices.Contains(c.Architectures, p.Architecture) {
		return false
	}
	if p.Kind == Source {
		return p.Name == c.Source
	}
	return slices.Contains(c.Binaries, p.Name) ||
		slices.Contains(c.Binaries, strings.TrimSuffix(p.Name, "-dbgsym"))
}

// Verify returns ErrMismatch, and how they differ, unless got has the size and
// the MD5, SHA1 and SHA256 of f. A digest that f lacks differs from every one.
func (f File) Verify(got File) error {
	switch {
	case f.Size != got.Size:
		return &mismatch{fmt.Sprintf("size mismatch: expected %d != obtained %d", f.Size, got.Size)}
	case f.MD5 != got.MD5:
		return &mismatch{fmt.Sprintf("checksum mismatch MD5: expected %s != obtained %s", f.MD5, got.MD5)}
	case f.SHA1 != got.SHA1:
		return &mismatch{fmt.Sprintf("checksum mismatch SHA1: expected %s != obtained %s", f.SHA1, got.SHA1)}
	case f.SHA256 != got.SHA256:
		return &mismatch{fmt.Sprintf("checksum mismatch SHA256 expected %s != obtained %s", f.SHA256, got.SHA256)}
	}
	return nil
}

type mismatch struct{ text string }

func (e *mismatch) Error() string        { return e.text }
func (e *mismatch) Is(target error) bool { return target == ErrMismatch }
