package proxy

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// hop are the headers of one connection (RFC 9110 7.6.1), and the headers by which a
// client or another proxy speaks of itself.
var hop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Authorization", "Cookie", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Real-Ip", "Origin", "Referer"}

// passed returns the headers that are forwarded.
func passed(h http.Header) http.Header {
	out := h.Clone()
	for _, list := range h.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hop {
		out.Del(name)
	}
	return out
}

// answered copies the headers of an answer.
func answered(to, from http.Header) {
	for name, values := range passed(from) {
		if name != "Set-Cookie" {
			to[name] = values
		}
	}
}

// foreign reports whether a request comes from a web page of another site, or was sent to
// a name that is not this machine's.
func (p *Proxy) foreign(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return true
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host {
			return true
		}
	}
	return !p.AnyHost && !local(r.Host)
}

// local reports whether the host of a request is this machine by a loopback name or
// address, or that of a Unix socket.
func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || host == "unix" || ip != nil && ip.IsLoopback()
}
