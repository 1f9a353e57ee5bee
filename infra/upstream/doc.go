// Package upstream fills the port core/archive/upstream.Fetcher with HTTP.
//
// Whoever may make a mirror chooses what is asked, and whoever runs the server
// that is asked chooses what it answers, so both are taken for hostile. An
// address is judged when it is dialed, after names were resolved and again at
// every redirect: only what is public may be asked, and what the operator has
// allowed. A user and password go to the server that the URL names and to no
// other, and are in no answer, error or log.
//
// Where the environment names proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), they
// are used. Then names are judged as far as they can be resolved here, and what
// a proxy connects to is the proxy's affair.
//
// A failure that may pass is tried again with growing pauses, and as late as
// the server has asked for. A body that breaks off goes on where it broke, if
// the server still has the same. Requests to one host are bounded, at once and
// by the second.
//
// Invariant: every call ends. Each phase has a time limit, bodies a floor rate
// and a largest size, and tries a largest number.
package upstream
