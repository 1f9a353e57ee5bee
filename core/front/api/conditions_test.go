package api

import (
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// TestEntityTags holds that every ETag of a driver becomes a valid entity-tag (RFC
// 9110 8.8.3). Different ETags become different entity-tags.
func TestEntityTags(t *testing.T) {
	grammar := regexp.MustCompile(`^(W/)?"[\x21\x23-\x7e\x80-\xff]*"$`)
	seen := map[string]string{}
	for etag, want := range map[string]string{
		`"18ebbbda4f1c3560-250"`: `"18ebbbda4f1c3560-250"`,
		`W/"a"`:                  `W/"a"`,
		`bare-1`:                 `"bare-1"`,
		`"a"b"`:                  "",
		`a"b`:                    "",
		`a b`:                    "",
		"\x7f":                   "",
		`"`:                      "",
		`"a`:                     "",
		``:                       `""`,
		"\"\n\"":                 "",
	} {
		got := entityTag(etag)
		if !grammar.MatchString(got) || want != "" && got != want {
			t.Errorf("%q becomes %q, want %q", etag, got, want)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q are both %s", etag, other, got)
		}
		seen[got] = etag
	}
}

func TestConditionalHeadersCompareEntityTags(t *testing.T) {
	info := driver.Info{ETag: `"a-1"`, Size: 10, ModTime: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	for value, want := range map[string]bool{
		`"a-1"`: true, `W/"a-1"`: true, `*`: true, ` "x", "a-1" `: true, `"x","y,z" , W/"a-1"`: true,
		`"a-1`: false, `"\"a-1\""`: false, `"x"`: false, `a-1`: false, `"x a-1"`: false, `x, "a-1"`: false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("If-None-Match", value)
		if got := unchanged(r, info); got != want {
			t.Errorf("If-None-Match %s: %v", value, got)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["If-None-Match"] = []string{`"x"`, `"a-1"`}
	if !unchanged(r, info) {
		t.Error("the second line of If-None-Match does not count")
	}
	for value, part := range map[string]bool{
		`"a-1"`: true, `W/"a-1"`: false, `"x"`: false, `"\"a-1\""`: false,
		"Fri, 02 Jan 2026 03:04:05 GMT": true, "Fri, 02 Jan 2026 03:04:04 GMT": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Range", "bytes=2-")
		r.Header.Set("If-Range", value)
		if got, ok := requested(r, info); !ok || (got != nil) != part {
			t.Errorf("If-Range %s: %v, %v", value, got, ok)
		}
	}
}
