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

// Access is how a client proves to an archive that it may read it. All of it is
// secret: it is in no text, and formatting an Access gives none of it.
//
// A Fetcher sends an Access to its Origin only. After a redirect to another
// origin nothing of it is sent any more, also if a redirect leads back.
type Access struct {
	Origin      string            // scheme and host, as Origin returns it
	User        string            `json:",omitempty"` // of Basic authentication (RFC 7617)
	Password    string            `json:",omitempty"`
	Headers     map[string]string `json:",omitempty"` // of each request, by canonical name
	Certificate string            `json:",omitempty"` // of the client, with its chain: PEM
	Key         string            `json:",omitempty"` // of the certificate: PEM, without a passphrase
}

const hidden = "(hidden)"

// String keeps an Access out of texts.
func (Access) String() string { return hidden }

// GoString keeps an Access out of texts.
func (Access) GoString() string { return hidden }

// LogValue keeps an Access out of logs.
func (Access) LogValue() slog.Value { return slog.StringValue(hidden) }

// HasCredentials reports whether there is a user or a password.
func (a Access) HasCredentials() bool { return a.User != "" || a.Password != "" }

// Empty reports whether there is nothing to be sent.
func (a Access) Empty() bool {
	return !a.HasCredentials() && len(a.Headers) == 0 && a.Certificate == "" && a.Key == ""
}

// Origin returns scheme, host and port of a URL in one form, so that equal
// origins are equal texts: "https://deb.example.org:443". "" is no origin.
func Origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return OriginOf(u)
}

// OriginOf is Origin of a URL that is parsed.
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

// SplitUser takes user and password out of the URL of an archive.
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
	maxUser       = 1 << 10 // of a user, and of a header's name
	maxPassword   = 8 << 10 // of a password, and of a header's value
	maxHeaders    = 32
	maxAllHeaders = 32 << 10 // of names and values together
	maxPEM        = 64 << 10
)

// connectionHeaders are those that belong to the connection and to what is asked
// for. A client that chose them would break resumption, caching or framing.
var connectionHeaders = []string{"Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "If-Match", "If-Modified-Since",
	"If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Range", "Referer", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// Check brings the names of headers into their canonical form, and refuses what
// could not be sent to the archive at root. No error has a secret in it.
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

// isToken reports whether text is a token (RFC 9110, 5.6.2) that may be a name.
func isToken(text string) bool {
	return text != "" && len(text) <= maxUser && !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// canonicalHeader returns the form of a header's name that net/http has:
// "X-Api-Key".
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

// KeyPair returns certificate and key. The error says nothing of the input.
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
