package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// printer writes data to stdout.
type printer struct {
	out   io.Writer
	width int // of the terminal; 0 for a pipe
	now   time.Time
}

// cell is a value of a table. person is its form on a terminal, and plain in a pipe.
type cell struct{ plain, person string }

func word(s string) cell { return cell{s, s} }

func number(n int) cell { return word(strconv.Itoa(n)) }

func words(list []string) cell { return cell{strings.Join(list, ","), strings.Join(list, ", ")} }

func yes(on bool) cell {
	if on {
		return word("yes")
	}
	return word("no")
}

// size is a number of bytes.
func size(n int64) cell { return cell{strconv.FormatInt(n, 10), bytesText(n)} }

// bytesText writes a number of bytes for people: 1.2 GiB.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), -1
	for v >= 1024 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}

// at is a time: RFC 3339 in a pipe, relative on a terminal.
func (p printer) at(t time.Time) cell {
	if t.IsZero() {
		return cell{"", "never"}
	}
	return cell{t.UTC().Format(time.RFC3339), ago(p.now.Sub(t))}
}

// ago writes an age for people.
func ago(d time.Duration) string {
	suffix := " ago"
	if d < 0 {
		d, suffix = -d, " from now"
	}
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}} {
		if d >= u.unit {
			return fmt.Sprintf("%d %s%s", d/u.unit, u.name, suffix)
		}
	}
	return "now"
}

// clean escapes the control characters of a name from a server.
func clean(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) {
			fmt.Fprintf(&b, `\x%02x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// table writes rows: columns with a header on a terminal, tabs in a pipe.
func (p printer) table(header []string, rows [][]cell) error {
	if p.width == 0 {
		var b bytes.Buffer
		for _, row := range rows {
			for i, c := range row {
				if i > 0 {
					b.WriteByte('\t')
				}
				b.WriteString(clean(c.plain))
			}
			b.WriteByte('\n')
		}
		_, err := p.out.Write(b.Bytes())
		return err
	}
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	style.Size.WidthMax = p.width
	t.SetStyle(style)
	head := table.Row{}
	for _, h := range header {
		head = append(head, h)
	}
	t.AppendHeader(head)
	for _, row := range rows {
		line := table.Row{}
		for _, c := range row {
			line = append(line, clean(c.person))
		}
		t.AppendRow(line)
	}
	for line := range strings.SplitSeq(t.Render(), "\n") {
		if _, err := fmt.Fprintln(p.out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// field is a labelled value of an object.
type field struct {
	name  string
	value cell
}

// fields writes an object: labelled lines on a terminal, a tab in a pipe.
func (p printer) fields(all []field) error {
	for _, f := range all {
		line := f.name + "\t" + clean(f.value.plain)
		if p.width > 0 {
			line = f.name + ": " + clean(f.value.person)
		}
		if _, err := fmt.Fprintln(p.out, line); err != nil {
			return err
		}
	}
	return nil
}

// json writes the bytes of an answer as one document, indented as aptly's.
func (p printer) json(raw json.RawMessage) error {
	var b bytes.Buffer
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := p.out.Write(b.Bytes())
	return err
}

// lines writes texts, one a line.
func (p printer) lines(all []string) error {
	var b bytes.Buffer
	for _, s := range all {
		b.WriteString(clean(s))
		b.WriteByte('\n')
	}
	_, err := p.out.Write(b.Bytes())
	return err
}

// text prints a text that is to be copied, as it is.
func (p printer) text(s string) error {
	_, err := io.WriteString(p.out, s)
	return err
}
