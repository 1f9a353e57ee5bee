package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Bounds of inline values in a task's row, in bytes of JSON. Their sum is below
// driver.MaxRowSize, with room for the names of 98 locks.
const (
	maxInline    = 32 << 10 // arguments, output and value each; larger ones are objects
	maxLive      = 16 << 10
	maxCursor    = 64 << 10 // a position, not data
	maxDetail    = 16 << 10
	maxError     = 4 << 10
	MaxNeeds     = 32 << 10 // bytes of the needs of a task, together
	maxName      = 1 << 10
	maxResources = 16 << 10 // all together
	maxWarnings  = 16 << 10 // all together
	maxWarning   = 2 << 10
)

// encode returns v as JSON without HTML escapes: "&" stays one byte.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// encodedLen returns the length of a rune or of an invalid byte in the JSON of
// encode.
func encodedLen(r rune, size int) int {
	switch {
	case r == utf8.RuneError && size <= 1, r == '\u2028', r == '\u2029':
		return 6
	case r == '"', r == '\\', r == '\n', r == '\r', r == '\t', r == '\b', r == '\f':
		return 2
	case r < 0x20:
		return 6
	}
	return size
}

// fit returns how many bytes of s fit into limit bytes of JSON.
func fit(s string, limit int) int {
	used := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if used += encodedLen(r, size); used > limit {
			return i
		}
		i += size
	}
	return len(s)
}

// clip cuts a text from outside to limit bytes of JSON and marks the cut.
func clip(s string, limit int) string {
	const room = 40 // for the mark
	if fit(s, limit) == len(s) {
		return s
	}
	n := fit(s, limit-room)
	return s[:n] + fmt.Sprintf(" […%d bytes are cut]", len(s)-n)
}

// tail returns the end of s that fits into limit bytes of JSON.
func tail(s string, limit int) string {
	used, i := 0, len(s)
	for i > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:i])
		if used += encodedLen(r, size); used > limit {
			break
		}
		i -= size
	}
	return s[i:]
}

// clipAll cuts a list of texts to limit bytes of JSON in total. The last text
// then counts the dropped ones.
func clipAll(list []string, each, limit int) []string {
	used, kept := 0, make([]string, 0, len(list))
	for i, s := range list {
		s = clip(s, each)
		data, err := encode(s)
		if err != nil {
			panic(err) // strings encode
		}
		if used += len(data) + 1; used > limit-60 && i < len(list) {
			return append(kept, fmt.Sprintf("[… %d more are cut]", len(list)-i))
		}
		kept = append(kept, s)
	}
	if list == nil {
		return nil
	}
	return kept
}
