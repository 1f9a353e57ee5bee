package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Reach says from which web pages and through which proxies requests may come. The zero
// value trusts none.
type Reach struct {
	origins []string // of pages, as browsers send them
	proxies []netip.Prefix
	sockets bool // clients of a Unix socket are proxies
}

// Origin trusts the pages of an origin, for example "https://ui.example.org".
func (c *Reach) Origin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || origin != u.Scheme+"://"+u.Host || strings.Contains(u.Host, "*") || origin != strings.ToLower(origin) {
		return fmt.Errorf("%q: an origin is a scheme and a host in small letters, as https://ui.example.org", origin)
	}
	c.origins = append(c.origins, origin)
	return nil
}

// Proxy trusts proxies: an address, a range of addresses as "10.0.0.0/8", or "unix".
func (c *Reach) Proxy(addresses string) error {
	if addresses == "unix" {
		c.sockets = true
		return nil
	}
	prefix, err := netip.ParsePrefix(addresses)
	if addr, single := netip.ParseAddr(addresses); single == nil {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil {
		return fmt.Errorf("%q: a proxy is an address, a range as 10.0.0.0/8, or unix", addresses)
	}
	c.proxies = append(c.proxies, prefix.Masked())
	return nil
}

// trusts reports whether a peer is a proxy that is believed. The zero address is of a
// Unix socket.
func (c *Reach) trusts(peer netip.Addr) bool {
	if !peer.IsValid() {
		return c.sockets
	}
	return slices.ContainsFunc(c.proxies, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// source returns the address that a request comes from, "local" for a Unix socket.
// X-Forwarded-For lists addresses in the order of the hops. The source is the last one
// that is no trusted proxy: a client may have made up the addresses before it.
func (c *Reach) source(r *http.Request) string {
	var peer netip.Addr
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = at.Addr().Unmap().WithZone("")
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && c.trusts(peer); i-- {
		hop, ok := forwarded(hops[i])
		if !ok {
			break
		}
		peer = hop
	}
	if !peer.IsValid() {
		return "local"
	}
	return peer.String()
}

// forwarded reads an address of X-Forwarded-For, with or without a port.
func forwarded(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		var at netip.AddrPort
		at, err = netip.ParseAddrPort(text)
		addr = at.Addr()
	}
	return addr.Unmap().WithZone(""), err == nil
}

// isTrusted reports whether a browser sends a request for a page of a trusted origin.
func (c *Reach) isTrusted(r *http.Request) bool {
	return slices.Contains(c.origins, r.Header.Get("Origin"))
}

// share lets a browser show answers to pages of trusted origins. It answers a preflight
// request of such a page and reports that it has.
func (c *Reach) share(w http.ResponseWriter, r *http.Request) bool {
	if len(c.origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !c.isTrusted(r) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	w.WriteHeader(http.StatusNoContent)
	return true
}
