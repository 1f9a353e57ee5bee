package api

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// entityTag returns a driver's ETag in the form of an entity-tag (RFC 9110 8.8.3).
// A tag that has the form already stays as it is, for example an ETag of S3.
// Another one is quoted. It is written in hexadecimal if it contains characters
// that an entity-tag must not contain. The mapping is injective.
func entityTag(etag string) string {
	if opaque, rest, ok := cutTag(strings.TrimPrefix(etag, "W/")); ok && opaque != "" && rest == "" {
		return etag
	}
	if opaque, _, ok := cutTag(`"` + etag + `"`); ok && opaque == `"`+etag+`"` {
		return opaque
	}
	return `"x-` + hex.EncodeToString([]byte(etag)) + `"`
}

// cutTag splits a header's value after the opaque-tag at its beginning. The tag
// includes its quotes.
func cutTag(s string) (opaque, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:], true
		case c <= ' ' || c == 0x7f:
			return "", s, false
		}
	}
	return "", s, false
}

// listsTag reports whether a value of If-None-Match contains an entity-tag. It uses
// the weak comparison (RFC 9110 8.8.3.2): "a" and W/"a" are equal.
func listsTag(list, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for list = strings.TrimSpace(list); list != ""; list = strings.TrimLeft(list, ", \t") {
		opaque, rest, ok := cutTag(strings.TrimPrefix(list, "W/"))
		if !ok {
			return false
		}
		if opaque == tag {
			return true
		}
		list = rest
	}
	return false
}

// unchanged reports whether the client's copy of the object is current (RFC 9110
// 13.1.2 and 13.1.3). apt sends If-Modified-Since; an equal second is "not modified".
func unchanged(r *http.Request, info driver.Info) bool {
	if tags := strings.TrimSpace(strings.Join(r.Header.Values("If-None-Match"), ", ")); tags != "" {
		return tags == "*" || listsTag(tags, entityTag(info.ETag))
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && !info.ModTime.Truncate(time.Second).After(since)
}

// sameObject evaluates If-Range (RFC 9110 13.1.5). It reports whether the object has
// not changed since the client received another part of it.
func sameObject(r *http.Request, info driver.Info) bool {
	tag, since := entityTag(info.ETag), r.Header.Get("If-Range")
	if since == "" || since == tag && !strings.HasPrefix(tag, "W/") {
		return true
	}
	at, err := http.ParseTime(since)
	return err == nil && at.Equal(info.ModTime.Truncate(time.Second))
}

// requested returns the range that the client asks for. It returns nil for the
// whole object: without a range, with several ranges, or if If-Range fails. ok is
// false if the range cannot be satisfied.
func requested(r *http.Request, info driver.Info) (part *driver.Range, ok bool) {
	spec, found := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !found || strings.Contains(spec, ",") {
		return nil, true
	}
	if !sameObject(r, info) {
		return nil, true
	}
	first, last, dash := strings.Cut(spec, "-")
	if !dash {
		return nil, true
	}
	if first == "" { // "bytes=-500" means the last 500 bytes
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			return nil, true
		}
		n = min(n, info.Size)
		return &driver.Range{Offset: info.Size - n, Length: n}, n > 0
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 {
		return nil, true
	}
	to := info.Size - 1
	if last != "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < from {
			return nil, true
		}
		to = min(n, to)
	}
	return &driver.Range{Offset: from, Length: to - from + 1}, from < info.Size
}
