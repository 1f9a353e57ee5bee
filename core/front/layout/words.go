package layout

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// functions are those of all templates. files are the paths of the files of pages.
func functions(files map[string]string) template.FuncMap {
	return template.FuncMap{
		"asset": func(name string) string { return files[name] }, "seg": Segment, "bytes": Bytes, "count": Count, "plural": plural,
		"date": Date, "ago": Ago, "iso": iso, "web": web, "join": strings.Join, "dict": dict,
		"moment": moment, "bytes64": func(n uint64) string { return Bytes(int64(min(n, 1<<62))) },
		"add": func(a, b int) int { return a + b }, "clip": clip,
	}
}

// Bytes returns a size for people, as "1.2 GiB".
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if v /= 1024; v < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}

// Count returns a number with commas, as "60,000".
func Count(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, d := range digits {
		if left := len(digits) - i; i > 0 && left%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// plural returns a number with its noun, as "1 package" or "60,000 packages".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok && !strings.HasSuffix(stem, "a") {
		return Count(n) + " " + stem + "ies"
	}
	return Count(n) + " " + noun + "s"
}

// Date returns a time for people.
func Date(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2 Jan 2006, 15:04 UTC")
}

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Ago returns the distance of a time from now, as "3 minutes ago" or "in 20 days".
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	ahead := d < 0
	if ahead {
		d = -d
	}
	var text string
	switch {
	case d < 10*time.Second:
		return "just now"
	case d < 2*time.Minute:
		text = plural(int(d/time.Second), "second")
	case d < 2*time.Hour:
		text = plural(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		text = plural(int(d/time.Hour), "hour")
	default:
		text = plural(int(d/(24*time.Hour)), "day")
	}
	if ahead {
		return "in " + text
	}
	return text + " ago"
}

// web returns a URL of another site if a page may link to it, else "".
func web(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

// dict makes a map of keys and values, for a template with several arguments.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d arguments", len(pairs))
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m, nil
}

// Segment writes a text as one segment of a path. A dot alone is escaped, too: browsers
// drop it.
func Segment(text string) string {
	if text == "." || text == ".." {
		return strings.ReplaceAll(text, ".", "%2E")
	}
	return url.PathEscape(text)
}

// Summary returns the first line of a description.
func Summary(description string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(description), "\n")
	return first
}

// Glob returns the query for a text that a person has typed. A text with a character of
// the query language is a query already. Another one is the beginning of a name, or with
// a star any pattern of names.
func Glob(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case text == "" || strings.ContainsAny(text, "()|,!{}$=<>\"' \t_"):
		return text
	case strings.ContainsAny(text, "*?["):
		return "Name (% " + text + ")"
	}
	return "Name (% " + text + "*)"
}

// moment returns the distance of a time in RFC 3339 from now.
func moment(now time.Time, text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return Ago(now, t)
}

// clip shortens a text to n characters, with an ellipsis.
func clip(n int, text string) string {
	letters := []rune(text)
	if len(letters) <= n {
		return text
	}
	return string(letters[:n-1]) + "…"
}
