package deb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Errors of reading control data. A line over MaxLine is bufio.ErrTooLong.
var (
	// ErrSyntax says that a line is neither a field nor a continuation.
	ErrSyntax = errors.New("malformed stanza syntax")
	// ErrTooLarge says that a paragraph exceeds MaxParagraph or MaxFields.
	ErrTooLarge = errors.New("stanza too large")
)

// Limits of control data.
const (
	MaxLine      = 2 << 20  // bytes of a line, without its end
	MaxParagraph = 16 << 20 // bytes of values and names of a paragraph
	MaxFields    = 4096     // fields of a paragraph
)

// Field is a field of a paragraph.
//
// The value of a multi-line field keeps its lines. It is the rest of the first
// line with its leading blank, followed by a line feed unless empty. Each further
// line follows with its leading blank and line feed. Every other value is one
// line: folded lines are trimmed and joined with one blank.
type Field struct {
	Name  string // canonical
	Value string
}

// Paragraph is a paragraph ("stanza") of control data: its fields in the order of
// the text. Names are unique. Of a repeated field the last one counts.
type Paragraph []Field

// Lookup returns the value of the field with this canonical name. ok is false
// without such a field.
func (p Paragraph) Lookup(name string) (value string, ok bool) {
	for i := range p {
		if p[i].Name == name {
			return p[i].Value, true
		}
	}
	return "", false
}

// Get returns the value of the field with this canonical name, "" if there is
// none.
func (p Paragraph) Get(name string) string {
	value, _ := p.Lookup(name)
	return value
}

// Set replaces the value of a field, or appends the field.
func (p *Paragraph) Set(name, value string) {
	for i := range *p {
		if (*p)[i].Name == name {
			(*p)[i].Value = value
			return
		}
	}
	*p = append(*p, Field{name, value})
}

// Mode selects the multi-line fields.
type Mode uint8

const (
	// ModeControl is for control files, .dsc, .changes, Packages and Sources.
	ModeControl Mode = iota
	// ModeRelease is for Release, in which MD5Sum, SHA1, SHA256 and SHA512 are
	// lists of files.
	ModeRelease
	// ModeInstaller is for an installer's SHA256SUMS. All lines up to an empty one
	// are the value of a field named "".
	ModeInstaller
)

func (m Mode) multiLine(name string) bool {
	switch name {
	case "Description", "Files", "Changes", "Package-List",
		"Checksums-Sha1", "Checksums-Sha256", "Checksums-Sha512":
		return true
	case "MD5Sum", "SHA1", "SHA256", "SHA512":
		return m == ModeRelease
	default:
		return false
	}
}

// CanonicalName returns a field name in its canonical form. The first letter and
// each letter after a hyphen are upper case, all others lower case. A few names
// have their own spelling.
func CanonicalName(name string) string {
	switch {
	case strings.EqualFold(name, "SHA1"), strings.EqualFold(name, "SHA256"), strings.EqualFold(name, "SHA512"):
		return strings.ToUpper(name)
	case strings.EqualFold(name, "MD5Sum"):
		return "MD5Sum"
	case strings.EqualFold(name, "NotAutomatic"):
		return "NotAutomatic"
	case strings.EqualFold(name, "ButAutomaticUpgrades"):
		return "ButAutomaticUpgrades"
	}
	b := []byte(name)
	start := true
	for i, c := range b {
		switch {
		case start && 'a' <= c && c <= 'z':
			b[i] = c - 'a' + 'A'
		case !start && 'A' <= c && c <= 'Z':
			b[i] = c - 'A' + 'a'
		}
		start = c == '-'
	}
	return string(b)
}

// ParseParagraph reads the first paragraph of data. The paragraph of empty data
// is empty.
func ParseParagraph(data string, mode Mode) (Paragraph, error) {
	r := paragraphReaders.Get().(*ParagraphReader)
	defer r.release()
	r.in.Reset(strings.NewReader(data))
	r.mode = mode
	p, err := r.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return p, err
}

// paragraphReaders keeps the readers of ParseParagraph. The buffer of a reader is
// larger than most control files.
var paragraphReaders = sync.Pool{New: func() any { return NewParagraphReader(nil, ModeControl) }}

// maxKeptText bounds the buffers of a reader that is kept, in bytes.
const maxKeptText = 256 << 10

// release keeps the reader for another text.
func (r *ParagraphReader) release() {
	r.in.Reset(nil)
	r.err, r.read = nil, 0
	if cap(r.text)+cap(r.long) <= maxKeptText {
		clear(r.spans[:cap(r.spans)]) // their names
		paragraphReaders.Put(r)
	}
}

// ParagraphReader reads paragraphs one after the other.
type ParagraphReader struct {
	in   *bufio.Reader
	mode Mode
	err  error // returned by each further Next
	read int64 // bytes of the lines that were read

	long  []byte      // a line longer than the buffer of in
	text  []byte      // the values of the paragraph being read
	spans []fieldSpan // of the fields in text
	names fieldNames
}

type fieldSpan struct {
	name       string
	start, end int
	multi      bool
}

// readBuffer holds nearly every line. Longer ones are copied.
const readBuffer = 64 << 10

// NewParagraphReader returns a reader of the control data that r yields.
func NewParagraphReader(r io.Reader, mode Mode) *ParagraphReader {
	return &ParagraphReader{in: bufio.NewReaderSize(r, readBuffer), mode: mode, names: make(fieldNames)}
}

// Next returns the next paragraph, io.EOF after the last. Its values share one
// string. After an error, every call returns that error until Skip.
func (r *ParagraphReader) Next() (Paragraph, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.text, r.spans = r.text[:0], r.spans[:0]
	size := 0
	for {
		line, err := r.line()
		if err == io.EOF && len(r.spans) > 0 {
			break // the next call returns the error
		}
		if err == nil && len(line) == 0 {
			if len(r.spans) > 0 {
				break
			}
			continue
		}
		if size += len(line) + 1; err == nil && size > MaxParagraph {
			err = ErrTooLarge
		}
		if err == nil {
			err = r.add(line)
		}
		if err != nil {
			r.err = err
			return nil, err
		}
	}
	return r.paragraph(), nil
}

// paragraph returns the fields that were read since the last paragraph.
func (r *ParagraphReader) paragraph() Paragraph {
	text := string(r.text)
	p := make(Paragraph, len(r.spans))
	for i, s := range r.spans {
		p[i] = Field{s.name, text[s.start:s.end]}
	}
	return p
}

// Skip reads the rest of a paragraph after an ErrSyntax of Next. It returns the
// fields before the bad line. The next call of Next returns the next paragraph.
func (r *ParagraphReader) Skip() Paragraph {
	if !errors.Is(r.err, ErrSyntax) {
		return nil
	}
	for r.err = nil; r.err == nil; {
		var line []byte
		if line, r.err = r.line(); len(line) == 0 {
			break
		}
	}
	return r.paragraph()
}

// add adds a non-empty line to the paragraph.
func (r *ParagraphReader) add(line []byte) error {
	if r.mode == ModeInstaller {
		if len(r.spans) == 0 {
			r.spans = append(r.spans, fieldSpan{})
		}
		r.text = append(append(r.text, line...), '\n')
		r.spans[0].end = len(r.text)
		return nil
	}
	if isBlank(line[0]) {
		return r.addContinuation(line)
	}
	colon := indexColon(line)
	if colon <= 0 {
		return ErrSyntax
	}
	name := r.names.canonical(line[:colon])
	field := fieldSpan{name: name, start: len(r.text), multi: r.mode.multiLine(name)}
	value := trimRight(line[colon+1:])
	if field.multi {
		r.text = append(r.text, value...)
		if len(value) > 0 {
			r.text = append(r.text, '\n')
		}
	} else {
		r.text = append(r.text, trimLeft(value)...)
	}
	field.end = len(r.text)

	for i := range r.spans {
		if r.spans[i].name == name {
			r.spans = append(r.spans[:i], r.spans[i+1:]...)
			break
		}
	}
	if len(r.spans) == MaxFields {
		return ErrTooLarge
	}
	r.spans = append(r.spans, field)
	return nil
}

func (r *ParagraphReader) addContinuation(line []byte) error {
	if len(r.spans) == 0 {
		if len(trimLeft(line)) == 0 {
			return nil // a blank line before the first field
		}
		return ErrSyntax
	}
	field := &r.spans[len(r.spans)-1]
	if field.multi {
		r.text = append(append(r.text, line...), '\n')
	} else {
		r.text = append(append(r.text, ' '), trimLeft(trimRight(line))...)
	}
	field.end = len(r.text)
	return nil
}

// Text returns the next paragraph as it is written, with the empty line after it. It is
// nil if the paragraph does not end within readBuffer bytes, and after an error. The bytes
// are valid until the next call.
//
// Next may return less, because it also takes a line of a carriage return for an empty
// one. Then Read grows by less than the length of the text.
func (r *ParagraphReader) Text() []byte {
	if r.err != nil {
		return nil
	}
	for n, from := r.in.Buffered(), 0; ; n = max(n+1, r.in.Buffered()) {
		text, err := r.in.Peek(min(n, r.in.Size()))
		if i := bytes.Index(text[from:], emptyLine()); i >= 0 {
			return text[:from+i+2]
		}
		if err != nil || n >= r.in.Size() {
			return nil
		}
		from = max(0, len(text)-1)
	}
}

func emptyLine() []byte { return []byte("\n\n") }

// Pass skips the paragraph whose Text was returned last.
func (r *ParagraphReader) Pass(text []byte) {
	n, _ := r.in.Discard(len(text))
	r.read += int64(n)
}

// Read returns the number of bytes of the paragraphs so far.
func (r *ParagraphReader) Read() int64 { return r.read }

// line returns the next line without its end. The bytes are valid until the next
// call.
func (r *ParagraphReader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	r.read += int64(len(line))
	if err == bufio.ErrBufferFull {
		r.long = r.long[:0]
		for err == bufio.ErrBufferFull {
			r.long = append(r.long, line...)
			if len(r.long) > MaxLine+2 {
				return nil, bufio.ErrTooLong
			}
			line, err = r.in.ReadSlice('\n')
			r.read += int64(len(line))
		}
		r.long = append(r.long, line...)
		line = r.long
	}
	switch {
	case err == nil:
		line = line[:len(line)-1]
	case err != io.EOF:
		return nil, fmt.Errorf("reading control data: %w", err)
	case len(line) == 0:
		return nil, io.EOF
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) > MaxLine {
		return nil, bufio.ErrTooLong
	}
	return line, nil
}

// fieldNames maps written names to canonical ones. The paragraphs of an index
// share these strings.
type fieldNames map[string]string

// Bounds of the names that a reader keeps: their number, and the bytes of each.
const (
	maxFieldNames = 4096
	maxFieldName  = 64
)

func (names fieldNames) canonical(written []byte) string {
	if name, ok := names[string(written)]; ok {
		return name
	}
	if len(written) > maxFieldName {
		return CanonicalName(string(written))
	}
	if len(names) == maxFieldNames {
		clear(names)
	}
	key := string(written)
	name := CanonicalName(key)
	names[key] = name
	return name
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// indexColon finds the colon after a field name, which is near.
func indexColon(line []byte) int {
	for i, c := range line {
		if c == ':' {
			return i
		}
	}
	return -1
}

func trimLeft(b []byte) []byte {
	for len(b) > 0 && (isBlank(b[0]) || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && (isBlank(b[len(b)-1]) || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}
