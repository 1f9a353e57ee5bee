package deb

// Kind says what sort of package a Package is.
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

// Package is a package as lists hold it: what its control stanza says and the
// files it consists of. It is a value: nothing in it refers to storage.
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

	Extra map[string]string // every other field, by canonical name, value as Paragraph holds it
	Files []File            // ascending by Name
}
