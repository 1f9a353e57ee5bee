package upstream

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
)

// FuzzContentRange holds that only the missing part is accepted.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 10-99/100", "bytes 10-99/*", "bytes 9-99/100", "bytes 10-98/99", "bytes */100", "", "bytes 10-99", "bytes +10-99/100", "bytes  10-99/100"} {
		f.Add(seed, int64(10), int64(100))
	}
	f.Fuzz(func(t *testing.T, value string, offset, size int64) {
		if offset < 1 || size >= 0 && size <= offset {
			return
		}
		part := &transfer{offset: offset, size: size, etag: `"1"`}
		err := part.checkRange(&http.Response{Header: http.Header{"Content-Range": {value}, "Etag": {`"1"`}}})
		missing := fmt.Sprintf("bytes %d-%d/", offset, size-1)
		if err == nil && size >= 0 && value != missing+"*" && value != fmt.Sprint(missing, size) {
			t.Errorf("%q is accepted as the continuation after %d of %d bytes", value, offset, size)
		}
	})
}

// FuzzGuard holds that a guard allows no more than its list says.
func FuzzGuard(f *testing.F) {
	f.Add("10.0.0.0/8", "10.1.2.3")
	f.Add("[::1]", "::1")
	f.Add("127.0.0.1", "::ffff:127.0.0.1")
	f.Add("deb.example.org", "127.0.0.1")
	f.Add("::ffff:10.0.0.0/104", "10.0.0.1")
	f.Fuzz(func(t *testing.T, entry, address string) {
		g, err := newGuard([]string{entry})
		ip, ipErr := netip.ParseAddr(address)
		if err != nil || ipErr != nil {
			return
		}
		none, err := newGuard(nil)
		if err != nil {
			t.Fatal(err)
		}
		if g.permits(ip) && !none.permits(ip) && len(g.allowed) == 0 {
			t.Errorf("%q allows %s", entry, address)
		}
		if none.permits(ip) && !g.permits(ip) {
			t.Errorf("%q forbids %s", entry, address)
		}
	})
}
