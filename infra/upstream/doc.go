// Package upstream implements the port core/archive/upstream.Fetcher with HTTP.
//
// Clients that may create mirrors choose the requested URLs, and the owners of the servers
// choose the answers. Both are treated as hostile. An address is checked when it is
// dialed: after name resolution, and again at every redirect. Only public addresses, and
// addresses that the operator allows, may be requested.
//
// A user and password are sent only to the server that the URL names. They are in no
// answer, error or log.
//
// Proxies from the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) are used. Names are
// then checked as far as this machine resolves them. The proxy decides which addresses
// it connects to.
//
// A temporary failure is retried with growing pauses, and not before the time of a
// Retry-After. A body that breaks off is resumed if the server still has the same
// content. Each host has a bound of concurrent requests, which falls while
// the host says that it is busy (429, 503).
//
// Invariant: every call ends. Each phase has a time limit, a body has a floor rate and a
// largest size, and the number of retries is bounded.
package upstream
