package api

import (
	"crypto/x509"
	"net/http"

	"aptless/core/front/auth"
)

// identities returns the names in the verified certificate of a request's client.
func identities(r *http.Request) []auth.Identity {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return namesIn(r.TLS.VerifiedChains[0][0])
}

// namesIn returns the names in a certificate: of URIs, of DNS, and the common name.
func namesIn(c *x509.Certificate) []auth.Identity {
	var list []auth.Identity
	for _, uri := range c.URIs {
		list = append(list, auth.Identity{Key: "uri", Value: uri.String()})
	}
	for _, name := range c.DNSNames {
		list = append(list, auth.Identity{Key: "dns", Value: name})
	}
	if c.Subject.CommonName != "" {
		list = append(list, auth.Identity{Key: "cn", Value: c.Subject.CommonName})
	}
	return list
}
