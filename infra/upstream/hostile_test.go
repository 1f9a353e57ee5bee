package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	port "aptless/core/archive/upstream"
)

// TestForbiddenAddressesInEveryForm requests addresses that are not public, in each form
// that a URL can have. The dialed address decides.
func TestForbiddenAddressesInEveryForm(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{
		"169.254.169.254", "[fd00:ec2::254]", "127.0.0.1:9001", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[::1]", "[::]", "0.0.0.0",
		"localhost", "LOCALHOST", "127.1.2.3", "user:secret@127.0.0.1", "[fe80::1%25lo]", "10.0.0.1", "[::7f00:1]",
	} {
		for _, scheme := range []string{"http", "https"} {
			_, err := get(t, c, scheme+"://"+host+"/x")
			if !errors.Is(err, port.ErrForbidden) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s://%s: %v", scheme, host, err)
			}
		}
	}
	for _, address := range []string{"file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "data:,x", "javascript:x", "http:/x", "http://", "x", ""} {
		if _, err := get(t, c, address); err == nil {
			t.Errorf("%q is requested", address)
		}
	}
}

// names is a DNS server in memory. Each lookup of a name takes the next of its lists of
// addresses; the last one stays.
type names struct {
	mu    sync.Mutex
	known map[string][][]string
}

// resolver returns a resolver that asks only this server.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go n.serve(far)
		return near, nil
	}}
}

// serve answers one query over a stream (RFC 1035 4.2.2).
func (n *names) serve(c net.Conn) {
	defer c.Close()
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, query); err != nil {
		return
	}
	const header = 12
	end, name := header, ""
	for query[end] != 0 {
		length := int(query[end])
		name += string(query[end+1:end+1+length]) + "."
		end += 1 + length
	}
	const typeA = 1
	var found []string
	if query[end+2] == typeA {
		found = n.next(name)
	}
	// An answer with recursion, one question, and an address for each resource record.
	answer := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(found)), 0, 0, 0, 0}, query[header:end+5]...)
	for _, address := range found {
		answer = append(answer, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, netip.MustParseAddr(address).AsSlice()...)
	}
	c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}

func (n *names) next(name string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	lists := n.known[name]
	if len(lists) == 0 {
		return nil
	}
	if len(lists) > 1 {
		n.known[name] = lists[1:]
	}
	return lists[0]
}

// TestNameThatMovesToAnotherAddress asks for a name that resolves to a permitted address,
// and at the next request to a forbidden one, where the same server listens.
func TestNameThatMovesToAnotherAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		io.WriteString(w, "inside")
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	at := fmt.Sprint(":", listener.Addr().(*net.TCPAddr).Port)
	g, err := newGuard([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	dns := &names{known: map[string][][]string{
		"moves.example.": {{"127.0.0.1"}, {"127.0.0.2"}},
		"good.example.":  {{"127.0.0.1"}},
		"bad.example.":   {{"127.0.0.2"}},
		"many.example.":  {{"127.0.0.2", "10.0.0.1", "169.254.169.254"}},
	}}
	g.dialer.Resolver = dns.resolver()
	c := newClient(g.dial, nil)
	if body, err := get(t, c, "http://moves.example"+at+"/"); err != nil || body != "inside" {
		t.Fatalf("%q, %v", body, err)
	}
	for _, address := range []string{
		"http://moves.example" + at + "/", "http://bad.example" + at + "/", "http://many.example" + at + "/",
		"http://good.example" + at + "/?to=http://bad.example" + at + "/",
	} {
		if body, err := get(t, c, address); !errors.Is(err, port.ErrForbidden) {
			t.Errorf("%s: %q, %v", address, body, err)
		}
	}
}

// TestLineEndsReachNoRequest puts line ends into each part of a URL, plain and escaped. No
// request gets a header from them.
func TestLineEndsReachNoRequest(t *testing.T) {
	var asked []string
	served(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Host+r.URL.EscapedPath()+"?"+r.URL.RawQuery)
		if r.Header.Get("X-Evil") != "" || strings.ContainsAny(r.Header.Get("Authorization"), "\r\n") {
			t.Errorf("%s has headers of its URL: %v", r.URL, r.Header)
		}
		if r.URL.Path == "/redirect" {
			w.Header().Set("Location", "http://deb.example/%0d%0aX-Evil:%201")
			w.WriteHeader(http.StatusFound)
		}
	}, func(t *testing.T, c *Client) {
		for _, end := range []string{"\r\n", "\n", "\r", "%0d%0a", "%0a"} {
			evil := end + "X-Evil: 1" + end
			plain := end[0] != '%'
			for _, address := range []string{"http://deb.example/" + evil, "http://deb.example/?" + evil, "http://deb" + evil + ".example/", "http://u" + evil + ":p@deb.example/"} {
				if _, err := get(t, c, address); plain && err == nil {
					t.Errorf("%q is requested", address)
				}
			}
		}
		if _, err := get(t, c, "http://deb.example/redirect"); err != nil {
			t.Error(err)
		}
	})
	for _, url := range asked {
		if strings.ContainsAny(url, "\r\n") {
			t.Errorf("%q is requested", url)
		}
	}
	if len(asked) == 0 {
		t.Error("no request came")
	}
}
