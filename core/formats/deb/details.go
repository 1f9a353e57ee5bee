package deb

import (
	"encoding/json"
	"slices"
	"strings"
)

// AppendDetails appends the JSON of Details. It has the bytes of json.Marshal,
// but needs no map and no reflection.
func (p *Package) AppendDetails(dst []byte) ([]byte, error) {
	fields := p.paragraph(make(Paragraph, 0, 32), "")
	fields = append(fields, Field{"FilesHash", p.filesHashText()}, Field{"Key", p.Key()}, Field{"ShortKey", p.ShortKey()})
	slices.SortStableFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	dst = append(dst, '{')
	first := true
	for i, f := range fields {
		if i+1 < len(fields) && fields[i+1].Name == f.Name {
			continue // of fields with one name the last stays
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var err error
		if dst, err = appendJSON(dst, f.Name); err != nil {
			return nil, err
		}
		if dst, err = appendJSON(append(dst, ':'), f.Value); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// appendJSON appends a string as json.Marshal writes it.
func appendJSON(dst []byte, s string) ([]byte, error) {
	start := len(dst)
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '\n':
			dst = append(dst, `\n`...)
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '<':
			dst = append(dst, `\u003c`...)
		case '>':
			dst = append(dst, `\u003e`...)
		case '&':
			dst = append(dst, `\u0026`...)
		default: // few texts have others
			whole, err := json.Marshal(s)
			return append(dst[:start], whole...), err
		}
	}
	return append(append(dst, s[from:]...), '"'), nil
}
