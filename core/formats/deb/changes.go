package deb

import (
	"slices"
	"strings"
)

// Changes is the content of a .changes file.
type Changes struct {
	Paragraph     Paragraph // the whole paragraph, without a signature
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

// Accepts reports whether the .changes announces p. Its architecture must be
// listed or "all". It must be the source package, a listed binary, or the debug
// symbols of one.
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

// Verify returns an ErrMismatch with the difference unless got has the size and
// all digests of f. f must have SHA256 or SHA512. Debian policy 5.5 also requires
// SHA1 and MD5; Verify does not.
func (f File) Verify(got File) error {
	if f.SHA256 == "" && f.SHA512 == "" {
		return &mismatch{f.Name + " is not in Checksums-Sha256"}
	}
	return f.Agrees(got)
}
