package deb

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// Layout selects the order of a paragraph's fields.
type Layout uint8

// Layouts. LayoutInstaller has only the field named "".
const (
	LayoutBinary Layout = iota
	LayoutSource
	LayoutInstaller
	LayoutRelease
)

// fieldOrder lists the first fields of each layout. All others follow in byte
// order of their names.
var fieldOrder = [...][]string{
	LayoutBinary: {
		"Package", "Essential", "Status", "Priority", "Section", "Installed-Size", "Maintainer",
		"Original-Maintainer", "Architecture", "Source", "Version", "Replaces", "Provides", "Depends",
		"Pre-Depends", "Recommends", "Suggests", "Conflicts", "Breaks", "Conffiles", "Filename", "Size",
		"MD5Sum", "MD5sum", "SHA1", "SHA256", "SHA512", "Description",
	},
	LayoutSource: {
		"Package", "Source", "Binary", "Version", "Priority", "Section", "Maintainer",
		"Original-Maintainer", "Build-Depends", "Build-Depends-Indep", "Build-Conflicts",
		"Build-Conflicts-Indep", "Architecture", "Standards-Version", "Format", "Directory", "Files",
	},
	LayoutInstaller: {},
	LayoutRelease: {
		"Origin", "Label", "Archive", "Suite", "Version", "Codename", "Date", "Valid-Until",
		"NotAutomatic", "ButAutomaticUpgrades", "Acquire-By-Hash", "Signed-By", "Architectures",
		"Architecture", "Components", "Component", "Description", "MD5Sum", "SHA1", "SHA256", "SHA512",
	},
}

// position returns the place of a field in a layout. Listed fields have places
// below len(fieldOrder[l]), all others that place.
func (l Layout) position(name string) int {
	order := fieldOrder[l]
	for i := range order {
		if order[i] == name {
			return i
		}
	}
	return len(order)
}

// AppendParagraph appends p to dst in layout l, without an empty line after it. A
// multi-line field without a value would end the stanza with its empty line, so
// it is dropped. In a Release, it means an empty list, so its name is written
// alone.
func AppendParagraph(dst []byte, p Paragraph, l Layout) []byte {
	if l == LayoutInstaller {
		return appendText(dst, p.Get(""))
	}
	return appendFields(dst, p, l)
}

// appendFields appends the fields in the order of l.
func appendFields(dst []byte, p Paragraph, l Layout) []byte {
	type ranked struct {
		position int
		field    *Field
	}
	var space [48]ranked
	order := space[:0]
	for i := range p {
		order = append(order, ranked{l.position(p[i].Name), &p[i]})
	}
	slices.SortFunc(order, func(a, b ranked) int {
		if a.position != b.position {
			return a.position - b.position
		}
		return strings.Compare(a.field.Name, b.field.Name)
	})
	for _, f := range order {
		dst = appendField(dst, *f.field, l)
	}
	return dst
}

func appendField(dst []byte, f Field, l Layout) []byte {
	mode := ModeControl
	if l == LayoutRelease {
		mode = ModeRelease
	}
	switch {
	case !mode.multiLine(f.Name):
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value...)
		return append(dst, '\n')
	case f.Value == "" && l != LayoutRelease:
		return dst
	}
	dst = append(dst, f.Name...)
	dst = append(dst, ':')
	if f.Name != "Description" || beginsBlank(f.Value) {
		dst = append(dst, '\n')
		if f.Value != "" && !isBlank(f.Value[0]) {
			dst = append(dst, ' ') // of "Files:x"; without the blank, x would be read as a field
		}
	}
	return appendText(dst, f.Value)
}

// beginsBlank reports whether the first line of a value is blank. After the colon it would be
// read as no line, and the next one as the synopsis.
func beginsBlank(value string) bool {
	line, _, _ := strings.Cut(value, "\n")
	return strings.Trim(line, " \t\r") == ""
}

// appendText appends lines and ends the last one.
func appendText(dst []byte, text string) []byte {
	dst = append(dst, text...)
	if text != "" && text[len(text)-1] != '\n' {
		dst = append(dst, '\n')
	}
	return dst
}

// AppendStanza appends the package's stanza of a Packages or Sources index, or an
// installer's lines in SHA256SUMS. Each line ends in a line feed, and no empty
// line follows. poolDir is the published directory of the files, relative to the
// archive's root. With "" Filename is the base name, and Directory is the
// original one.
func (p *Package) AppendStanza(dst []byte, poolDir string) []byte {
	var space [48]Field
	paragraph := p.paragraph(space[:0], poolDir)
	switch p.Kind {
	case Installer:
		return AppendParagraph(dst, paragraph, LayoutInstaller)
	case Source:
		return appendFields(dst, paragraph, LayoutSource)
	default:
		return appendFields(dst, paragraph, LayoutBinary)
	}
}

// Details returns the package as the API shows it: its stanza's fields with the
// base name of the file, and FilesHash, Key and ShortKey.
func (p *Package) Details() map[string]string {
	paragraph := p.paragraph(nil, "")
	details := make(map[string]string, len(paragraph)+3)
	for _, f := range paragraph {
		details[f.Name] = f.Value
	}
	details["FilesHash"] = p.filesHashText()
	details["Key"] = p.Key()
	details["ShortKey"] = p.ShortKey()
	return details
}

// paragraph appends the package's fields to dst, in no particular order.
func (p *Package) paragraph(dst Paragraph, poolDir string) Paragraph {
	architecture := p.Architecture
	if p.Kind == Source {
		architecture = p.SourceArchitecture
	}
	dst = append(dst,
		Field{"Package", p.Name},
		Field{"Version", p.Version},
		Field{"Architecture", architecture})
	for _, name := range relationNames {
		if items := *p.relation(name); len(items) > 0 {
			dst = append(dst, Field{name, strings.Join(items, ", ")})
		}
	}
	switch p.Kind {
	case Installer:
		dst = append(dst, Field{"", p.installerList()})
	case Source:
		dst = p.sourceFields(dst, poolDir)
	default:
		dst = p.binaryFields(dst, poolDir)
	}
	for name, value := range p.Extra {
		if name != "Directory" || p.Kind != Source || poolDir == "" {
			dst = append(dst, Field{name, value})
		}
	}
	return dst
}

func (p *Package) binaryFields(dst Paragraph, poolDir string) Paragraph {
	if p.Source != "" {
		dst = append(dst, Field{"Source", p.Source})
	}
	if len(p.Files) == 0 {
		return dst
	}
	f := &p.Files[0]
	dst = append(dst,
		Field{"Filename", path.Join(poolDir, f.Name)},
		Field{"Size", strconv.FormatInt(f.Size, 10)})
	for _, sum := range [...]Field{{"MD5sum", f.MD5}, {"SHA1", f.SHA1}, {"SHA256", f.SHA256}, {"SHA512", f.SHA512}} {
		if sum.Value != "" {
			dst = append(dst, sum)
		}
	}
	return dst
}

func (p *Package) sourceFields(dst Paragraph, poolDir string) Paragraph {
	if poolDir != "" {
		dst = append(dst, Field{"Directory", poolDir})
	}
	dst = append(dst, Field{"Files", p.sumLines(func(f *File) string { return f.MD5 })})
	for _, sums := range [...]Field{
		{"Checksums-Sha1", p.sumLines(func(f *File) string { return f.SHA1 })},
		{"Checksums-Sha256", p.sumLines(func(f *File) string { return f.SHA256 })},
		{"Checksums-Sha512", p.sumLines(func(f *File) string { return f.SHA512 })},
	} {
		if sums.Value != "" {
			dst = append(dst, sums)
		}
	}
	return dst
}

// sumLines returns " digest size name" for each file with a known digest.
func (p *Package) sumLines(digest func(*File) string) string {
	var text []byte
	for i := range p.Files {
		f := &p.Files[i]
		if d := digest(f); d != "" {
			text = append(text, ' ')
			text = append(text, d...)
			text = append(text, ' ')
			text = strconv.AppendInt(text, f.Size, 10)
			text = append(text, ' ')
			text = append(text, f.Name...)
			text = append(text, '\n')
		}
	}
	return string(text)
}

// installerList returns the lines of a SHA256SUMS, joined by line feeds.
func (p *Package) installerList() string {
	lines := make([]string, len(p.Files))
	for i := range p.Files {
		lines[i] = p.Files[i].SHA256 + "  " + p.Files[i].Name
	}
	return strings.Join(lines, "\n")
}
