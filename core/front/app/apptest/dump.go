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

// Of what differs between two histories with the same outcome. Names of rows and
// objects are subject to them as well as their content.
var (
	uuids      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times      = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d UTC`)
	signatures = regexp.MustCompile(`(?s)-----BEGIN PGP SIGNATURE-----.*?-----END PGP SIGNATURE-----`)
	attempts   = regexp.MustCompile(`(private/publish/[0-9a-f]{32}/)\d+-\d+`)
	epochs     = regexp.MustCompile(`(private/chunks/|"[Ee]poch":)\d+`)
	reasons    = regexp.MustCompile(`,"(Reason":"(?:[^"\\\\]|\\\\.)*"|Tries":\d+)`) // of entries of the calendar, of the last time that they failed
	updating   = regexp.MustCompile(`"Updating":\d+,`)                              // of a mirror: the task that updated it last
	incoming   = regexp.MustCompile(`(private/incoming/)[A-Z2-7]{26}\b`)
	numbers    = regexp.MustCompile(`\b\d{10,19}\b`) // times and numbers of tasks, in keys of rows
)

// Dumper makes dumps. It remembers what it has made of texts, so that many dumps
// of similar stores are cheap. It is used by one goroutine at a time.
type Dumper struct {
	texts map[string]string // by the names of UUIDs and the text
}

// Dump returns all rows and objects of a Memory, by "row <key>" and "object
// <key>", without what differs between two histories that have the same outcome:
// UUIDs are replaced by names, and times, signatures, numbers of attempts and of
// epochs, and digests of what has one of them, by placeholders. Ended tasks, and
// the objects that their rows name, are left out.
func (d *Dumper) Dump(m *drivertest.Memory) map[string]string {
	rows, objects := m.Rows(""), m.Objects("")
	withoutTasks(rows, objects)
	names := map[string]string{}
	for key, uuid := range rows {
		if part, name, _ := strings.Cut(key, "/"); strings.HasSuffix(part, "-name") {
			names[uuid] = "<" + strings.TrimSuffix(part, "-name") + " " + name + ">"
		}
	}
	known := map[string]string{} // digests of texts that change
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
	all := map[string][]string{} // several attempts have one name
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

// text returns a text without what differs, but with its digests. of stands for names.
func (d *Dumper) text(text, of string, names map[string]string) string {
	if normal, ok := d.texts[of+text]; ok {
		return normal
	}
	normal := uuids.ReplaceAllStringFunc(text, func(uuid string) string {
		return cmp.Or(names[uuid], "<uuid>")
	})
	normal = times.ReplaceAllString(normal, "<time>")
	normal = signatures.ReplaceAllString(normal, "<signature>")
	normal = attempts.ReplaceAllString(normal, "$1<attempt>")
	normal = incoming.ReplaceAllString(normal, "$1<upload>")
	normal = reasons.ReplaceAllString(updating.ReplaceAllString(normal, ""), "")
	normal = epochs.ReplaceAllString(normal, "$1<epoch>")
	if d.texts == nil {
		d.texts = map[string]string{}
	}
	d.texts[of+text] = normal
	return normal
}

// replaceDigests replaces the digests that are known, each a whole run of hex.
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

// varies reports whether a text is of a form that can have what differs: JSON, a
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

// maxName is the longest name of a row or an object.
const maxName = 1000

// digestsOf returns the digests of a text in hex, and its ETag in a Memory.
func digestsOf(text string) []string {
	data := []byte(text)
	a, b, c, d := md5.Sum(data), sha1.Sum(data), sha256.Sum256(data), sha512.Sum512(data)
	return []string{hex.EncodeToString(a[:]), hex.EncodeToString(b[:]), hex.EncodeToString(c[:]), hex.EncodeToString(d[:]), hex.EncodeToString(c[:16])}
}

// withoutTasks takes the rows of ended tasks, and the objects that they name, out
// of the maps.
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

// maxDifferences is how many differences are told.
const maxDifferences = 12

// Difference returns what one dump lacks, has besides, or has otherwise than the
// wanted one; "" if they are equal.
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

// change shows where two texts begin to differ.
func change(got, want string) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(0, at-40)
	return fmt.Sprintf("…%q, want …%q", cut(got, from), cut(want, from))
}

func cut(text string, from int) string { return text[from:min(len(text), from+100)] }
