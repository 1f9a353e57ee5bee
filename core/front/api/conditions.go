package api

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// entityTag returns the ETag of a driver as an entity-tag of HTTP (RFC 9110
// 8.8.3). Tags that have the form already, as those of S3 do, stay as they are.
// Others are put in quotes, in hexadecimal if they have characters that may not
// stand there. Equal ETags have equal entity-tags, and others have others.
func entityTag(etag string) string {
	if opaque, rest, ok := cutTag(strings.TrimPrefix(etag, "W/")); ok && opaque != "" && rest == "" {
		return etag
	}
	if opaque, _, ok := cutTag(`"` + etag + `"`); ok && opaque == `"`+etag+`"` {
		return opaque
	}
	return `"x-` + hex.EncodeToString([]byte(etag)) + `"`
}

// cutTag cuts an opaque-tag with its quotes off the beginning of a header's value.
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

// listsTag says whether a value of If-None-Match lists an entity-tag, by the weak
// comparison (RFC 9110 8.8.3.2): "a" and W/"a" are equal.
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

// unchanged says whether the client has the object already (RFC 9110 13.1.2
// and 13.1.3). apt sends If-Modified-Since; an equal second is "not modified".
func unchanged(r *http.Request, info driver.Info) bool {
	if tags := strings.TrimSpace(strings.Join(r.Header.Values("If-None-Match"), ", ")); tags != "" {
		return tags == "*" || listsTag(tags, entityTag(info.ETag))
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && !info.ModTime.Truncate(time.Second).After(since)
}

// sameObject reports whether the object is the one of which the client has read
// another part, by its If-Range (RFC 9110, 13.1.5).
func sameObject(r *http.Request, info driver.Info) bool {
	tag, since := entityTag(info.ETag), r.Header.Get("If-Range")
	if since == "" || since == tag && !strings.HasPrefix(tag, "W/") {
		return true
	}
	at, err := http.ParseTime(since)
	return err == nil && at.Equal(info.ModTime.Truncate(time.Second))
}

// requested returns the part of the object that is asked for: nil for all of
// it, also if the request names several parts or the object has changed since
// the client read another part of it.
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
	if first == "" { // the last so many bytes
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
