package deb

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of control data without a required field.
var (
	ErrNoName         = errors.New("empty package name")
	ErrNoVersion      = errors.New("empty version")
	ErrNoArchitecture = errors.New("empty architecture")
)

// Kind is the kind of a package.
type Kind uint8

// Kinds of packages. Binary is an ordinary deb (or ddeb).
const (
	Binary Kind = iota
	Udeb
	Source
	Installer // pseudo package of a mirror's installer files
)

// File is one file of a package. Digests are lower-case hex, "" if unknown.
type File struct {
	Name   string // base name; for installer files the listed relative path
	Size   int64  // bytes
	MD5    string
	SHA1   string
	SHA256 string
	SHA512 string
}

// Agrees returns an ErrMismatch with the difference unless got has the size and
// all digests that f has.
func (f File) Agrees(got File) error {
	switch {
	case f.Size != got.Size:
		return &mismatch{fmt.Sprintf("size mismatch: expected %d != obtained %d", f.Size, got.Size)}
	case f.MD5 != "" && f.MD5 != got.MD5:
		return &mismatch{fmt.Sprintf("checksum mismatch MD5: expected %s != obtained %s", f.MD5, got.MD5)}
	case f.SHA1 != "" && f.SHA1 != got.SHA1:
		return &mismatch{fmt.Sprintf("checksum mismatch SHA1: expected %s != obtained %s", f.SHA1, got.SHA1)}
	case f.SHA256 != "" && f.SHA256 != got.SHA256:
		return &mismatch{fmt.Sprintf("checksum mismatch SHA256 expected %s != obtained %s", f.SHA256, got.SHA256)}
	case f.SHA512 != "" && f.SHA512 != got.SHA512 && (got.SHA512 != "" || f.SHA256 == ""): // SHA512 may be unknown
		return &mismatch{fmt.Sprintf("checksum mismatch SHA512: expected %s != obtained %s", f.SHA512, got.SHA512)}
	}
	return nil
}

// ErrMismatch says that a file differs from its announcement.
var ErrMismatch = errors.New("mismatch")

type mismatch struct{ text string }

func (e *mismatch) Error() string { return e.text }

func (e *mismatch) Is(target error) bool { return target == ErrMismatch }

// Package is a package as lists hold it: the content of its stanza and its files.
// It is a value without references to storage.
type Package struct {
	Kind               Kind
	Name               string
	Version            string // verbatim, with epoch
	Architecture       string // of a binary; "source" for source packages
	SourceArchitecture string // source packages: the stanza's Architecture, such as "any all"
	Source             string // binaries: the Source field verbatim, may be "name (version)"

	// Relation fields, split at commas and trimmed; nil if absent or empty.
	Depends, PreDepends, Recommends, Suggests, Provides []string
	BuildDepends, BuildDependsIndep                     []string

	Extra map[string]string // all other fields by canonical name, with values as in Paragraph
	Files []File            // ascending by Name
}

// BinaryPackage returns the package that a control file describes, with the file
// f. kind is Binary or Udeb. File fields of the control file are ignored.
func BinaryPackage(p Paragraph, kind Kind, f File) (*Package, error) {
	if err := CheckFileName(f.Name); err != nil {
		return nil, err
	}
	pkg := &Package{Kind: kind, Files: []File{f}}
	pkg.setFields(p)
	if err := pkg.check(); err != nil {
		return nil, err
	}
	return pkg, nil
}

// setFields sets the fields of p from a paragraph. p has its kind.
func (p *Package) setFields(from Paragraph) {
	p.Extra = make(map[string]string, len(from))
	for _, f := range from {
		switch {
		case f.Name == "Package":
			p.Name = f.Value
		case f.Name == "Version":
			p.Version = f.Value
		case f.Name == "Architecture" && p.Kind == Source:
			p.SourceArchitecture = f.Value
		case f.Name == "Architecture":
			p.Architecture = f.Value
		case f.Name == "Source" && p.Kind == Source: // the name of Package in a .dsc
		case f.Name == "Source":
			p.Source = f.Value
		case describesFiles(f.Name, p.Kind):
		default:
			if items := p.relation(f.Name); items != nil && isRelationOf(f.Name, p.Kind) {
				*items = SplitItems(f.Value)
			} else {
				p.Extra[f.Name] = f.Value
			}
		}
	}
	if len(p.Extra) == 0 {
		p.Extra = nil
	}
	if p.Kind == Source {
		p.Architecture = SourceArch
	}
}

// describesFiles reports whether a field repeats Package.Files.
func describesFiles(name string, kind Kind) bool {
	switch name {
	case "Files", "Checksums-Sha1", "Checksums-Sha256", "Checksums-Sha512":
		return kind == Source
	case "Filename", "Size", "MD5Sum", "SHA1", "SHA256", "SHA512":
		return kind != Source
	default:
		return false
	}
}

// relationNames are the relation fields of Package. The first binaryRelations are
// of binaries, the others of sources.
var relationNames = [...]string{
	"Depends", "Pre-Depends", "Recommends", "Suggests", "Provides", "Build-Depends", "Build-Depends-Indep",
}

const binaryRelations = 5

// relation returns the items of a relation field, nil for other fields.
func (p *Package) relation(name string) *[]string {
	switch name {
	case "Depends":
		return &p.Depends
	case "Pre-Depends":
		return &p.PreDepends
	case "Recommends":
		return &p.Recommends
	case "Suggests":
		return &p.Suggests
	case "Provides":
		return &p.Provides
	case "Build-Depends":
		return &p.BuildDepends
	case "Build-Depends-Indep":
		return &p.BuildDependsIndep
	default:
		return nil
	}
}

func isRelationOf(name string, kind Kind) bool {
	names := relationNames[:binaryRelations]
	if kind == Source {
		names = relationNames[binaryRelations:]
	}
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// check returns an error unless name, version and architecture are valid.
func (p *Package) check() error {
	switch {
	case p.Name == "":
		return ErrNoName
	case p.Version == "":
		return ErrNoVersion
	case p.Architecture == "":
		return ErrNoArchitecture
	}
	if err := CheckName(p.Name); err != nil {
		return err
	}
	if err := CheckVersion(p.Version); err != nil {
		return err
	}
	if p.Kind == Source {
		return nil
	}
	return CheckArchitecture(p.Architecture)
}

// SourceName returns the name of the source package. A binary has it in Source;
// without that field, and for a source package, it is the own name. The text is
// verbatim and may be invalid, such as a URL.
func (p *Package) SourceName() string {
	if p.Source == "" {
		return p.Name
	}
	return sourceName(p.Source)
}

// sourceName returns the name in a Source field, "name" or "name (version)".
func sourceName(field string) string {
	name, _, _ := strings.Cut(field, "(")
	return strings.TrimSpace(name)
}

// SourceVersion returns the version of the source package. A binary may have it
// in Source; otherwise it is the own version.
func (p *Package) SourceVersion() string {
	_, version, ok := strings.Cut(p.Source, "(")
	if i := strings.LastIndexByte(version, ')'); ok && i >= 0 {
		return strings.TrimSpace(version[:i])
	}
	return p.Version
}

// PoolDir returns the directory of the package's files below a component of a
// published pool: "h/hello", "libf/libfoo", "r/r". A Source field without a valid
// name is ignored.
func (p *Package) PoolDir() (string, error) {
	source := p.SourceName()
	if CheckName(source) != nil {
		source = p.Name
	}
	if err := CheckName(source); err != nil {
		return "", err
	}
	prefix := source[:1]
	if strings.HasPrefix(source, "lib") {
		prefix = source[:min(4, len(source))]
	}
	return prefix + "/" + source, nil
}

// Field returns the value that queries see under a field's name, "" if the
// package lacks it. Names are case-sensitive. $Architecture, $PackageType,
// $Source, $SourceVersion and $Version are computed.
func (p *Package) Field(name string) string {
	switch name {
	case "Name":
		return p.Name
	case "Version", "$Version":
		return p.Version
	case "$Architecture":
		return p.Architecture
	case "Architecture":
		if p.Kind == Source {
			return p.SourceArchitecture
		}
		return p.Architecture
	case "$PackageType":
		switch p.Kind {
		case Source:
			return "source"
		case Udeb:
			return "udeb"
		default:
			return "deb"
		}
	case "Source":
		return p.Source
	case "$Source":
		if p.Kind == Source {
			return ""
		}
		return p.SourceName()
	case "$SourceVersion":
		if p.Kind == Source {
			return ""
		}
		return p.SourceVersion()
	}
	if items := p.relation(name); items != nil && *items != nil {
		return strings.Join(*items, ", ")
	}
	return p.Extra[name]
}
