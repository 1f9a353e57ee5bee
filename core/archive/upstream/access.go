package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// Access is a client's authentication to an archive. All of it is secret, and
// formatting an Access reveals nothing.
//
// A Fetcher sends an Access to its Origin only. After a redirect to another
// origin it sends nothing of it any more, even if a later redirect leads back.
type Access struct {
	Origin      string            // scheme and host, as Origin returns it
	User        string            `json:",omitempty"` // of Basic authentication (RFC 7617)
	Password    string            `json:",omitempty"`
	Headers     map[string]string `json:",omitempty"` // of each request, by canonical name
	Certificate string            `json:",omitempty"` // PEM of the client certificate, with its chain
	Key         string            `json:",omitempty"` // PEM of the certificate's key, without a passphrase
}

const hidden = "(hidden)"

// String hides the Access in formatted text.
func (Access) String() string { return hidden }

// GoString hides the Access in formatted text.
func (Access) GoString() string { return hidden }

// LogValue hides the Access in logs.
func (Access) LogValue() slog.Value { return slog.StringValue(hidden) }

// HasCredentials reports whether there is a user or a password.
func (a Access) HasCredentials() bool { return a.User != "" || a.Password != "" }

// Empty reports whether there is nothing to send.
func (a Access) Empty() bool {
	return !a.HasCredentials() && len(a.Headers) == 0 && a.Certificate == "" && a.Key == ""
}

// Origin returns scheme, host and port of a URL in a canonical form:
// "https://deb.example.org:443". It returns "" for a URL without a host.
func Origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return OriginOf(u)
}

// OriginOf is Origin of a parsed URL.
func OriginOf(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if host == "" || port == "" {
		return ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + ":" + port
}

// SplitUser removes user and password from the URL of an archive.
func SplitUser(root string) (clean, user, password string) {
	u, err := url.Parse(root)
	if err != nil || u.User == nil {
		return root, "", ""
	}
	password, _ = u.User.Password()
	scheme, rest, _ := strings.Cut(root, "://")
	authority, path, slash := strings.Cut(rest, "/")
	clean = scheme + "://" + authority[strings.LastIndex(authority, "@")+1:]
	if slash {
		clean += "/" + path
	}
	return clean, u.User.Username(), password
}

// Limits of an Access: bytes, and the number of headers.
const (
	maxUser       = 1 << 10 // bytes of a user, and of a header's name
	maxPassword   = 8 << 10 // bytes of a password, and of a header's value
	maxHeaders    = 32
	maxAllHeaders = 32 << 10 // bytes of all names and values
	maxPEM        = 64 << 10
)

// connectionHeaders belong to the connection or to one request. Clients may not
// set them, since resumption, caching or framing would break.
var connectionHeaders = []string{"Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "If-Match", "If-Modified-Since",
	"If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Range", "Referer", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// Check canonicalises the names of headers. It refuses values that cannot be sent
// to the archive at root. No error contains a secret.
func (a *Access) Check(root string) error {
	if err := a.checkUser(); err != nil {
		return err
	}
	if err := a.checkHeaders(); err != nil {
		return err
	}
	if err := a.checkCertificate(); err != nil {
		return err
	}
	if a.Certificate != "" && !strings.HasPrefix(Origin(root), "https:") {
		return errors.New("field ClientCertificate: the URL of the archive is not https")
	}
	a.Origin = Origin(root)
	return nil
}

func (a *Access) checkUser() error {
	switch {
	case a.User == "" && a.Password != "":
		return errors.New("field Credentials: there is a Password and no User")
	case len(a.User) > maxUser || len(a.Password) > maxPassword:
		return fmt.Errorf("field Credentials: User has more than %d bytes, or Password more than %d", maxUser, maxPassword)
	case strings.Contains(a.User, ":"):
		return errors.New("field Credentials: User has a colon, which HTTP does not allow")
	case strings.ContainsFunc(a.User+a.Password, isControl):
		return errors.New("field Credentials: User or Password has a control character")
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func (a *Access) checkHeaders() error {
	if len(a.Headers) > maxHeaders {
		return fmt.Errorf("field Headers: there are more than %d", maxHeaders)
	}
	canonical, size := map[string]string{}, 0
	for name, value := range a.Headers {
		if size += len(name) + len(value); size > maxAllHeaders {
			return fmt.Errorf("field Headers: they have more than %d bytes", maxAllHeaders)
		}
		if !isToken(name) {
			return fmt.Errorf("field Headers: %.100q is not the name of a header", name)
		}
		switch as := canonicalHeader(name); {
		case slices.Contains(connectionHeaders, as):
			return fmt.Errorf("field Headers: %s cannot be set", as)
		case len(value) > maxPassword:
			return fmt.Errorf("field Headers: the value of %s has more than %d bytes", as, maxPassword)
		case strings.TrimSpace(value) != value || strings.ContainsFunc(value, isControl):
			return fmt.Errorf("field Headers: the value of %s has a control character, or a blank at its beginning or end", as)
		case as == "Authorization" && a.HasCredentials():
			return errors.New("field Headers: Authorization contradicts Credentials")
		default:
			if _, twice := canonical[as]; twice {
				return fmt.Errorf("field Headers: %s is there twice", as)
			}
			canonical[as] = value
		}
	}
	if a.Headers != nil {
		a.Headers = canonical
	}
	return nil
}

// isToken reports whether text is a valid header name (RFC 9110, 5.6.2).
func isToken(text string) bool {
	return text != "" && len(text) <= maxUser && !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// canonicalHeader returns net/http's form of a header's name: "X-Api-Key".
func canonicalHeader(name string) string {
	words := strings.Split(strings.ToLower(name), "-")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "-")
}

func (a *Access) checkCertificate() error {
	switch {
	case len(a.Certificate) > maxPEM || len(a.Key) > maxPEM:
		return fmt.Errorf("field ClientCertificate: it or ClientKey has more than %d bytes", maxPEM)
	case a.Certificate == "" && a.Key == "":
		return nil
	case a.Certificate == "":
		return errors.New("field ClientKey: there is no ClientCertificate")
	case a.Key == "":
		return errors.New("field ClientCertificate: there is no ClientKey")
	case strings.Contains(a.Key, "ENCRYPTED"):
		return errors.New("field ClientKey: it has a passphrase: give the key without one")
	}
	if _, err := a.KeyPair(); err != nil {
		return err
	}
	return nil
}

// KeyPair parses certificate and key. The error reveals nothing of the input.
func (a Access) KeyPair() (tls.Certificate, error) {
	pair, err := tls.X509KeyPair([]byte(a.Certificate), []byte(a.Key))
	if err == nil {
		return pair, nil
	}
	if strings.Contains(err.Error(), "does not match") {
		return pair, errors.New("field ClientKey: it does not belong to ClientCertificate")
	}
	return pair, errors.New("field ClientCertificate, ClientKey: they are not a certificate and its private key as PEM")
}
