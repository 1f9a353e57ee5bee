package upstream

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	port "aptless/core/archive/upstream"
)

// notPublic are the networks of addresses that no public server has, from IANA's
// registries of special addresses. It includes the addresses at which clouds give
// machines their secrets. IPv6 addresses are public only in globalUnicast.
var notPublic = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/3", // reserved addresses and broadcast
	"168.63.129.16/32",           // Azure's metadata service
	"2001::/23", "2001:db8::/32", // protocols including Teredo; documentation
	"2002::/16", // 6to4: contains an IPv4 address
	"3fff::/20", // examples
}

const (
	globalUnicast = "2000::/3"
	// nat64 contains the IPv4 destination in its last four bytes (RFC 6052).
	nat64 = "64:ff9b::/96"
)

// guard checks addresses before they are dialed.
type guard struct {
	allowed   []netip.Prefix
	names     map[string]bool // names of hosts that may have any address
	notPublic []netip.Prefix
	global    netip.Prefix
	nat64     netip.Prefix
	dialer    net.Dialer
	proxy     func(*http.Request) (*url.URL, error) // nil without proxies
	proxies   map[string]bool                       // host:port
}

// newGuard returns a guard that also allows the listed servers: networks as CIDR,
// addresses, and host names.
func newGuard(allow []string) (*guard, error) {
	g := &guard{names: map[string]bool{}, proxies: map[string]bool{}, global: netip.MustParsePrefix(globalUnicast), nat64: netip.MustParsePrefix(nat64)}
	g.dialer.Timeout = connectTimeout
	for _, network := range notPublic {
		g.notPublic = append(g.notPublic, netip.MustParsePrefix(network))
	}
	for _, entry := range allow {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if ip, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
			g.allowed = append(g.allowed, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
			continue
		}
		if network, err := netip.ParsePrefix(entry); err == nil {
			g.allowed = append(g.allowed, network.Masked())
			continue
		}
		name := strings.TrimSuffix(entry, ".")
		if name == "" || len(name) > 253 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
			return nil, fmt.Errorf("%q is neither a network, nor an address, nor the name of a host", entry)
		}
		g.names[name] = true
	}
	return g, nil
}

// dial connects to host:port.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := g.dialer
	if !g.names[strings.TrimSuffix(strings.ToLower(host), ".")] && !g.proxies[address] {
		dialer.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(resolved)
			if err != nil || !g.permits(to.Addr()) {
				return port.ErrForbidden
			}
			return nil
		}
	}
	return dialer.DialContext(ctx, network, address)
}

// useProxies sends requests through the proxies that the function returns. It asks for the
// proxies once, to allow dialing them.
func (g *guard) useProxies(proxy func(*http.Request) (*url.URL, error)) {
	g.proxy = proxy
	for _, scheme := range []string{"http", "https"} {
		// No server has this name (RFC 6761 6.4).
		u, err := proxy(&http.Request{URL: &url.URL{Scheme: scheme, Host: "archive.invalid"}})
		if err != nil || u == nil {
			continue
		}
		g.proxies[hostPort(u)] = true
	}
}

// hostPort returns the host and port to dial for a URL.
func hostPort(u *url.URL) string {
	number := u.Port()
	if number == "" {
		number = defaultPorts[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), number)
}

var defaultPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// via returns the proxy of a request, or nil. It refuses a name that resolves to a
// forbidden address.
func (g *guard) via(r *http.Request) (*url.URL, error) {
	if g.proxy == nil {
		return nil, nil
	}
	if g.proxies[hostPort(r.URL)] { // a proxy may have any address, but is never requested as a server
		return nil, port.ErrForbidden
	}
	u, err := g.proxy(r)
	if err != nil || u == nil {
		return nil, err
	}
	host := strings.TrimSuffix(strings.ToLower(r.URL.Hostname()), ".")
	if g.names[host] {
		return u, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), connectTimeout)
	defer cancel()
	// Only the proxy can resolve this name.
	found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for _, ip := range found {
		if !g.permits(ip) {
			return nil, port.ErrForbidden
		}
	}
	return u, nil
}

// permits reports whether an address may be dialed.
func (g *guard) permits(ip netip.Addr) bool {
	ip = ip.Unmap()
	if contains(g.allowed, ip) {
		return true
	}
	if g.nat64.Contains(ip) {
		b := ip.As16()
		return g.permits(netip.AddrFrom4([4]byte(b[12:])))
	}
	return ip.IsValid() && ip.Zone() == "" && (ip.Is4() || g.global.Contains(ip)) && !contains(g.notPublic, ip)
}

func contains(networks []netip.Prefix, ip netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}
