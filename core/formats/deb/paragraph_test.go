package deb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParagraphReader(t *testing.T) {
	tests := []struct {
		name string
		in   string
		mode Mode
		want []Paragraph
	}{
		{"nothing", "", ModeControl, nil},
		{"blank lines only", "\n\r\n\n", ModeControl, nil},
		{"blanks before the first field", " \t\n\nA: b\n", ModeControl, []Paragraph{{{"A", "b"}}}},
		{"no line end", "A: b", ModeControl, []Paragraph{{{"A", "b"}}}},
		{"two", "\n\nA: b\nC:d\n\n\nE:\tf \n\n", ModeControl, []Paragraph{{{"A", "b"}, {"C", "d"}}, {{"E", "f"}}}},
		{"carriage returns", "A: b\r\n c\r\n\r\nD: e\r\n", ModeControl, []Paragraph{{{"A", "b c"}}, {{"D", "e"}}}},
		{"names", "package: a\nVCS-Git: b\nsha1: c\nSha256: d\nMD5sum: e\nDescription-md5: f\nnotautomatic: g\nbutAutomaticUpgrades: h\nx-FOO-bar: i\n",
			ModeControl, []Paragraph{{{"Package", "a"}, {"Vcs-Git", "b"}, {"SHA1", "c"}, {"SHA256", "d"}, {"MD5Sum", "e"},
				{"Description-Md5", "f"}, {"NotAutomatic", "g"}, {"ButAutomaticUpgrades", "h"}, {"X-Foo-Bar", "i"}}}},
		{"folded", "Tag: one,\n two,\n\tthree \n", ModeControl, []Paragraph{{{"Tag", "one, two, three"}}}},
		{"folded with empty first line", "Conffiles:\n /etc/a b\n", ModeControl, []Paragraph{{{"Conffiles", " /etc/a b"}}}},
		{"description", "Description: short \t\n long\n .\n  more \nA: b\n", ModeControl,
			[]Paragraph{{{"Description", " short\n long\n .\n  more \n"}, {"A", "b"}}}},
		{"line of blanks goes on", "Description: a\n \n b\n", ModeControl, []Paragraph{{{"Description", " a\n \n b\n"}}}},
		{"files", "Files: \n 1 2 x\nMD5Sum:\n a\n", ModeControl, []Paragraph{{{"Files", " 1 2 x\n"}, {"MD5Sum", " a"}}}},
		{"release", "MD5Sum:\n 1 2 x\n 3 4 y\nSHA256:\n 5 6 z\n", ModeRelease,
			[]Paragraph{{{"MD5Sum", " 1 2 x\n 3 4 y\n"}, {"SHA256", " 5 6 z\n"}}}},
		{"last one wins", "A: 1\nB: 2\na: 3\n 4\n", ModeControl, []Paragraph{{{"B", "2"}, {"A", "3 4"}}}},
		{"comment is a field", "#A: b\n", ModeControl, []Paragraph{{{"#a", "b"}}}},
		{"colons", "Homepage: http://x:1/\n", ModeControl, []Paragraph{{{"Homepage", "http://x:1/"}}}},
		{"installer", "ab  ./x\ncd  ./y\n\nef  ./z", ModeInstaller, []Paragraph{{{"", "ab  ./x\ncd  ./y\n"}}, {{"", "ef  ./z\n"}}}},
	}
	for _, test := range tests {
		for kind, in := range map[string]io.Reader{
			"whole": strings.NewReader(test.in), "bytewise": iotest.OneByteReader(strings.NewReader(test.in)),
		} {
			r := NewParagraphReader(in, test.mode)
			got, err := readAll(r)
			if err != io.EOF || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s, %s: %q, %v, want %q", test.name, kind, got, err, test.want)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("%s, %s: after the end: %v", test.name, kind, err)
			}
		}
	}
}

func readAll(r *ParagraphReader) (all []Paragraph, err error) {
	for {
		p, err := r.Next()
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
}

func TestParagraphReaderErrors(t *testing.T) {
	broken := errors.New("broken")
	var many strings.Builder
	for i := range MaxFields + 1 {
		fmt.Fprintf(&many, "F%d: x\n", i)
	}
	long := strings.Repeat("x", MaxLine-3)
	tests := []struct {
		name string
		in   io.Reader
		want error
	}{
		{"no colon", strings.NewReader("A: b\n\nC\n"), ErrSyntax},
		{"no name", strings.NewReader("A: b\n\n: c\n"), ErrSyntax},
		{"continuation of nothing", strings.NewReader("A: b\n\n c\n"), ErrSyntax},
		{"long line", strings.NewReader("A: b\n\nA: " + long + "x\n"), bufio.ErrTooLong},
		{"long line without end", io.MultiReader(strings.NewReader("A: b\n\nA: "), endless{}), bufio.ErrTooLong},
		{"large paragraph", strings.NewReader("A: b\n\n" + strings.Repeat("A: "+long+"\n", 9)), ErrTooLarge},
		{"many fields", strings.NewReader("A: b\n\n" + many.String()), ErrTooLarge},
		{"read error", io.MultiReader(strings.NewReader("A: b\n\nC: d"), iotest.ErrReader(broken)), broken},
	}
	for _, test := range tests {
		r := NewParagraphReader(test.in, ModeControl)
		got, err := readAll(r)
		if !errors.Is(err, test.want) || len(got) != 1 {
			t.Errorf("%s: %d paragraphs and error %v, want 1 and %v", test.name, len(got), err, test.want)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("%s: error %v, then %v", test.name, err, again)
		}
	}
	r := NewParagraphReader(strings.NewReader("A: "+long+"\r\nB: c\n"), ModeControl)
	if p, err := r.Next(); err != nil || p.Get("A") != long || p.Get("B") != "c" {
		t.Errorf("a line of MaxLine bytes: %d fields, %v", len(p), err)
	}
	for err, text := range map[error]string{
		ErrSyntax: "malformed stanza syntax", bufio.ErrTooLong: "bufio.Scanner: token too long",
	} {
		if err.Error() != text {
			t.Errorf("error %q, want %q", err, text)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestFieldNamesInMemoryAreBounded reads names that never repeat. The reader forgets names and
// stays right.
func TestFieldNamesInMemoryAreBounded(t *testing.T) {
	var in strings.Builder
	for i := range 3 * maxFieldNames {
		fmt.Fprintf(&in, "x%d: %d\n\n", i, i)
	}
	r := NewParagraphReader(strings.NewReader(in.String()), ModeControl)
	for i := range 3 * maxFieldNames {
		p, err := r.Next()
		want := Paragraph{{fmt.Sprintf("X%d", i), fmt.Sprint(i)}}
		if err != nil || !reflect.DeepEqual(p, want) {
			t.Fatalf("paragraph %d: %q, %v, want %q", i, p, err, want)
		}
		if len(r.names) > maxFieldNames {
			t.Fatalf("%d names kept", len(r.names))
		}
	}
}

func TestParagraphSet(t *testing.T) {
	var p Paragraph
	p.Set("A", "1")
	p.Set("B", "")
	p.Set("A", "2")
	if want := (Paragraph{{"A", "2"}, {"B", ""}}); !reflect.DeepEqual(p, want) {
		t.Errorf("%q, want %q", p, want)
	}
	if _, ok := p.Lookup("B"); !ok {
		t.Error("an empty field is not there")
	}
	if v, ok := p.Lookup("C"); ok || v != "" {
		t.Errorf("a field that is not there has %q", v)
	}
}

func TestParseParagraph(t *testing.T) {
	if p, err := ParseParagraph("\nA: b\n\nbroken", ModeControl); err != nil || p.Get("A") != "b" {
		t.Errorf("%q, %v", p, err)
	}
	if p, err := ParseParagraph(" \n\n", ModeControl); err != nil || len(p) != 0 {
		t.Errorf("blank text: %q, %v", p, err)
	}
	if _, err := ParseParagraph("broken", ModeControl); !errors.Is(err, ErrSyntax) {
		t.Errorf("error %v, want ErrSyntax", err)
	}
}

func TestAppendParagraph(t *testing.T) {
	tests := []struct {
		name   string
		p      Paragraph
		layout Layout
		want   string
	}{
		{
			"binary",
			Paragraph{{"Zeta-Field", "z"}, {"Description", " short\n long\n"}, {"Bugs", "b"}, {"SHA1", "1"},
				{"Version", "1"}, {"MD5sum", "2"}, {"Architecture", "all"}, {"Package", "a"}, {"Essential", ""}},
			LayoutBinary,
			"Package: a\nEssential: \nArchitecture: all\nVersion: 1\nMD5sum: 2\nSHA1: 1\nDescription: short\n long\nBugs: b\nZeta-Field: z\n",
		},
		{
			"source",
			Paragraph{{"Package-List", " a deb\n"}, {"Homepage", "h"}, {"Checksums-Sha256", " 1 2 x\n"}, {"Checksums-Sha1", ""},
				{"Files", " 3 4 x"}, {"Directory", "pool"}, {"Format", "1.0"}, {"Package", "a"}, {"Binary", "b"}},
			LayoutSource,
			"Package: a\nBinary: b\nFormat: 1.0\nDirectory: pool\nFiles:\n 3 4 x\nChecksums-Sha256:\n 1 2 x\nHomepage: h\nPackage-List:\n a deb\n",
		},
		{"empty list", Paragraph{{"Package", "a"}, {"Files", ""}, {"Version", "1"}}, LayoutSource, "Package: a\nVersion: 1\n"},
		{
			"release",
			Paragraph{{"SHA256", " 1 2 x\n"}, {"MD5Sum", ""}, {"Suite", "s"}, {"X-Other", "o"}, {"Origin", "x"}, {"Description", " d\n"}},
			LayoutRelease,
			"Origin: x\nSuite: s\nDescription: d\nMD5Sum:\nSHA256:\n 1 2 x\nX-Other: o\n",
		},
		{"installer", Paragraph{{"", "ab  ./x\ncd  ./y"}, {"Package", "installer"}}, LayoutInstaller, "ab  ./x\ncd  ./y\n"},
	}
	for _, test := range tests {
		if got := string(AppendParagraph([]byte("> "), test.p, test.layout)); got != "> "+test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", test.name, got, test.want)
		}
	}
}

// FuzzParagraph writes a paragraph that was read. The text is one paragraph with
// the same fields. A second round changes nothing. The first one drops carriage
// returns and a leading blank that folding left.
func FuzzParagraph(f *testing.F) {
	for _, s := range []string{
		"Package: a\nVersion: 1\nDescription: b\n c\n .\n d\n\nX: y\n", "a:\n b\n", "Files:\n x\nFiles: y\n", ":\n", "\n\r\n", "#:", " ", "A:\rb\r\r\n", "Files:x: y\n", "Description:\n \n ",
	} {
		f.Add(s, byte(0))
		f.Add(s, byte(3))
	}
	f.Fuzz(func(t *testing.T, in string, layout byte) {
		l := Layout(layout % 4)
		mode := [...]Mode{ModeControl, ModeControl, ModeInstaller, ModeRelease}[l]
		p, err := ParseParagraph(strings.ReplaceAll(in, "\r", ""), mode)
		if err != nil {
			return
		}
		var texts [2]string
		for i := range texts {
			texts[i] = string(AppendParagraph(nil, p, l))
			r := NewParagraphReader(strings.NewReader(texts[i]), mode)
			again, err := r.Next()
			if err != nil && (err != io.EOF || texts[i] != "") {
				t.Fatalf("%q is written as %q: %v", p, texts[i], err)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Fatalf("%q is written as %q, which goes on after its end: %v", p, texts[i], err)
			}
			for _, f := range again {
				if _, ok := p.Lookup(f.Name); !ok {
					t.Fatalf("%q is written as %q, which has another field %q", p, texts[i], f.Name)
				}
			}
			p = again
		}
		if third := string(AppendParagraph(nil, p, l)); third != texts[1] {
			t.Fatalf("%q, read and written again, is %q", texts[1], third)
		}
	})
}

// TestSkipGoesOnAfterABadLine: the rest of the paragraph is passed over, its first
// fields are known, and the paragraphs after it are read.
func TestSkipGoesOnAfterABadLine(t *testing.T) {
	for in, want := range map[string]string{
		"A: 1\nbad\nB: 2\n\nC: 3\n":          "[{A 1}]! [{C 3}]",
		"bad\nA: 1\n\nC: 3\n":                "[]! [{C 3}]",
		" x\nA: 1\n\n\n\nbad":                "[]! []!",
		"A: 1\n: x\n\n: y\n\nB: 2\nbad\n":    "[{A 1}]! []! [{B 2}]!",
		"A: 1\n\nB: 2":                       "[{A 1}] [{B 2}]",
		"bad\n" + strings.Repeat("x", 70000): "[]!",
	} {
		r := NewParagraphReader(strings.NewReader(in), ModeControl)
		var got []string
		for {
			p, err := r.Next()
			if err == io.EOF {
				break
			}
			if err == nil {
				if skipped := r.Skip(); skipped != nil {
					t.Errorf("%q: skipped %v of a good paragraph", in, skipped)
				}
				got = append(got, fmt.Sprint(p))
				continue
			}
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(r.Skip())+"!")
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%q: %s, want %s", in, text, want)
		}
	}
}

// TestTextIsWhatNextReads passes over some paragraphs and reads the others. The paragraphs
// that are read are those of a reader that reads all. A text of the length that Next has
// read gives the same paragraph by itself.
func TestTextIsWhatNextReads(t *testing.T) {
	for name, text := range map[string]string{
		"plain":          "A: 1\nB: 2\n\nA: 2\n\nA: 3\n\n",
		"no end":         "A: 1\n\nA: 2",
		"more lines":     "\n\nA: 1\n\n\n\nA: 2\n\n",
		"of Windows":     "A: 1\r\n\r\nA: 2\r\n\r\n",
		"of both":        "A: 1\r\n\r\nA: 2\n\nA: 3\n\n",
		"blank first":    " \nA: 1\n\nA: 2\n\n",
		"longer than it": "A: 1\n\nA: " + strings.Repeat("x", 3*readBuffer) + "\n\nA: 3\n\nA: 4\n\n",
	} {
		for passed := range 8 { // by bit: which of the texts are passed over
			all, some := NewParagraphReader(strings.NewReader(text), ModeControl), NewParagraphReader(iotest.OneByteReader(strings.NewReader(text)), ModeControl)
			for n := 0; ; n++ {
				before, peeked := some.Read(), string(some.Text())
				want, wantErr := all.Next()
				if alone, err := ParseParagraph(peeked, ModeControl); passed>>n&1 == 1 && peeked != "" && all.Read()-before == int64(len(peeked)) {
					if some.Pass([]byte(peeked)); err != nil || !slices.Equal(alone, want) {
						t.Fatalf("%s: the text %q is %v, %v, want %v", name, peeked, alone, err, want)
					}
					continue
				}
				got, err := some.Next()
				if !slices.Equal(got, want) || err != wantErr || some.Read() != all.Read() {
					t.Fatalf("%s: paragraph %d is %v, %v after %d bytes, want %v, %v after %d", name, n, got, err, some.Read(), want, wantErr, all.Read())
				}
				if err != nil {
					break
				}
			}
		}
	}
}
