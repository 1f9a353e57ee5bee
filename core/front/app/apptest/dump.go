package apptest

import (
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"aptless/core/engine/driver/drivertest"
)

// Patterns of text that varies between two histories with the same outcome. They apply
// to names of rows and objects and to their content.
var (
	uuids      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times      = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d UTC`)
	signatures = regexp.MustCompile(`(?s)-----BEGIN PGP SIGNATURE-----.*?-----END PGP SIGNATURE-----`)
	numbers    = regexp.MustCompile(`\b\d{10,19}\b`) // times and task numbers in keys of rows
)

// literals are further patterns, each with a literal of every match and the replacement.
var literals = []struct {
	literal string
	pattern *regexp.Regexp
	by      string
}{
	{"private/publish/", regexp.MustCompile(`(private/publish/[0-9a-f]{32}/)\d+-\d+`), "$1<attempt>"},
	{"private/exports/", regexp.MustCompile(`(private/exports/\d+-)\d+`), "$1<attempt>"},
	{`"Moment":`, regexp.MustCompile(`("Moment":(?:true|false),"Attempt":)\d+`), "$1<attempt>"},
	{"private/incoming/", regexp.MustCompile(`(private/incoming/)[A-Z2-7]{26}\b`), "$1<upload>"},
	{`"Updating":`, regexp.MustCompile(`"Updating":\d+,`), ""}, // the last updating task of a mirror
	// The last failure of a calendar entry.
	{`,"Reason":`, regexp.MustCompile(`,"Reason":"(?:[^"\\\\]|\\\\.)*"`), ""},
	{`,"Tries":`, regexp.MustCompile(`,"Tries":\d+`), ""},
	{"private/chunks/", regexp.MustCompile(`(private/chunks/)\d+`), "$1<epoch>"},
	{`poch":`, regexp.MustCompile(`("[Ee]poch":)\d+`), "$1<epoch>"},
}

// Dumper makes dumps. It caches normalised texts, so that many dumps of similar stores
// are cheap. It is not safe for concurrent use.
type Dumper struct {
	texts map[string]string // normalised texts, by names of UUIDs and text
}

// Dump returns all rows and objects of a Memory, keyed "row <key>" and "object <key>".
// Names replace UUIDs. Placeholders replace times, signatures, numbers of attempts and
// epochs, and digests of texts that contain one of them. Ended tasks and the objects
// that their rows name are left out. Two histories with the same outcome have equal
// dumps.
func (d *Dumper) Dump(m *drivertest.Memory) map[string]string {
	rows, objects := m.Rows(""), m.Objects("")
	withoutTasks(rows, objects)
	names := map[string]string{}
	for key, uuid := range rows {
		if part, name, _ := strings.Cut(key, "/"); strings.HasSuffix(part, "-name") {
			names[uuid] = "<" + strings.TrimSuffix(part, "-name") + " " + name + ">"
		}
	}
	known := map[string]string{} // digests of texts that vary
	of := fmt.Sprint(names)
	for _, content := range objects {
		if !varies(content) {
			continue
		}
		if normal := d.text(content, of, names); normal != content {
			sum := sha256.Sum256([]byte(normal))
			for _, digest := range digestsOf(content) {
				known[digest] = fmt.Sprintf("<digest %x>", sum[:6])
			}
		}
	}
	normal := func(content string) string {
		if !varies(content) {
			return content
		}
		return replaceDigests(d.text(content, of, names), known)
	}
	all := map[string][]string{} // objects of several attempts share one name
	for key, content := range rows {
		key = "row " + numbers.ReplaceAllString(normal(key), "<number>")
		all[key] = append(all[key], normal(content))
	}
	for key, content := range objects {
		key = "object " + normal(key)
		all[key] = append(all[key], normal(content))
	}
	dump := map[string]string{}
	for key, contents := range all {
		slices.Sort(contents)
		dump[key] = strings.Join(contents, "\n")
	}
	return dump
}

// text replaces the varying parts of a text except digests. of maps UUIDs to names.
func (d *Dumper) text(text, of string, names map[string]string) string {
	if normal, ok := d.texts[of+text]; ok {
		return normal
	}
	normal := uuids.ReplaceAllStringFunc(text, func(uuid string) string {
		return cmp.Or(names[uuid], "<uuid>")
	})
	normal = times.ReplaceAllString(normal, "<time>")
	normal = signatures.ReplaceAllString(normal, "<signature>")
	for _, r := range literals {
		if strings.Contains(normal, r.literal) { // a search for a literal is much cheaper
			normal = r.pattern.ReplaceAllString(normal, r.by)
		}
	}
	if d.texts == nil {
		d.texts = map[string]string{}
	}
	d.texts[of+text] = normal
	return normal
}

// replaceDigests replaces known digests. A digest is a whole run of hex digits.
func replaceDigests(text string, known map[string]string) string {
	var b strings.Builder
	for from := 0; from < len(text); {
		to := from
		for to < len(text) && hexDigit(text[to]) {
			to++
		}
		run := text[from:to]
		if to-from >= 32 {
			run = cmp.Or(known[run], run)
		}
		b.WriteString(run)
		if to < len(text) {
			b.WriteByte(text[to])
		}
		from = to + 1
	}
	return b.String()
}

func hexDigit(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

// varies reports whether a text may contain varying parts. Such a text is JSON, a
// Release file, a signature, a UUID, or the name of a row or object.
func varies(text string) bool {
	if len(text) <= maxName {
		return true
	}
	for _, begin := range []string{"{", "[", "Origin: ", "-----BEGIN PGP "} {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	return false
}

// maxName is the greatest length of a row's or an object's name.
const maxName = 1000

// digestsOf returns the digests of a text in hex, and its ETag in a Memory.
func digestsOf(text string) []string {
	data := []byte(text)
	a, b, c, d := md5.Sum(data), sha1.Sum(data), sha256.Sum256(data), sha512.Sum512(data)
	return []string{hex.EncodeToString(a[:]), hex.EncodeToString(b[:]), hex.EncodeToString(c[:]), hex.EncodeToString(d[:]), hex.EncodeToString(c[:16])}
}

// withoutTasks removes the rows of ended tasks, and the objects that they name.
func withoutTasks(rows, objects map[string]string) {
	for key, text := range rows {
		var t struct{ State int }
		if !strings.HasPrefix(key, "task/") || json.Unmarshal([]byte(text), &t) != nil || t.State < 2 {
			continue
		}
		delete(rows, key)
		for object := range objects {
			if strings.HasPrefix(object, "private/tasks/") && strings.Contains(text, `"`+object+`"`) {
				delete(objects, object)
			}
		}
	}
}

// maxDifferences bounds the number of reported differences.
const maxDifferences = 12

// Difference describes how a dump differs from the wanted one: missing, additional and
// changed entries. "" means that they are equal.
func Difference(got, want map[string]string) string {
	all := differences(got, want)
	if n := len(all); n > maxDifferences {
		all = append(all[:maxDifferences], fmt.Sprintf("and %d more\n", n-maxDifferences))
	}
	return strings.Join(all, "")
}

func differences(got, want map[string]string) (all []string) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if text, ok := got[key]; !ok {
			all = append(all, fmt.Sprintf("%s is missing\n", key))
		} else if text != want[key] {
			all = append(all, fmt.Sprintf("%s is %s\n", key, change(text, want[key])))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			all = append(all, fmt.Sprintf("%s is left: %.60q\n", key, got[key]))
		}
	}
	return all
}

// change shows the first difference of two texts.
func change(got, want string) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(0, at-40)
	return fmt.Sprintf("…%q, want …%q", cut(got, from), cut(want, from))
}

func cut(text string, from int) string { return text[from:min(len(text), from+100)] }
