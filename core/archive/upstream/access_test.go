package upstream_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
)

func TestAccessThatCannotBeSentIsRefused(t *testing.T) {
	cert, key := upstreamtest.ClientCertificate(t, "client")
	_, other := upstreamtest.ClientCertificate(t, "client")
	many := map[string]string{}
	for i := range 33 {
		many[fmt.Sprintf("X-%d", i)] = "v"
	}
	const https, http = "https://deb.example/", "http://deb.example/"
	for name, c := range map[string]struct {
		root   string
		access upstream.Access
		want   string // part of the error; "" if none
	}{
		"nothing":                  {http, upstream.Access{}, ""},
		"user":                     {http, upstream.Access{User: "ü", Password: "p: @/"}, ""},
		"token":                    {http, upstream.Access{Headers: map[string]string{"authorization": "Bearer s3cret"}}, ""},
		"user without password":    {http, upstream.Access{User: "s3cret"}, ""},
		"password without user":    {http, upstream.Access{Password: "s3cret"}, "no User"},
		"colon":                    {http, upstream.Access{User: "s3:cret"}, "colon"},
		"control character":        {http, upstream.Access{User: "u", Password: "s3cret\n"}, "control character"},
		"long":                     {http, upstream.Access{User: "u", Password: strings.Repeat("s3cret", 9000)}, "bytes"},
		"header's name":            {http, upstream.Access{Headers: map[string]string{"X Y": "s3cret"}}, "not the name"},
		"header without a name":    {http, upstream.Access{Headers: map[string]string{"": "s3cret"}}, "not the name"},
		"header's value":           {http, upstream.Access{Headers: map[string]string{"X-Y": "s3cret\r\nX-Z: 1"}}, "value of X-Y"},
		"header's blanks":          {http, upstream.Access{Headers: map[string]string{"X-Y": " s3cret"}}, "value of X-Y"},
		"header of the connection": {http, upstream.Access{Headers: map[string]string{"hOST": "s3cret"}}, "Host cannot be set"},
		"range":                    {http, upstream.Access{Headers: map[string]string{"Range": "s3cret"}}, "Range cannot be set"},
		"header twice":             {http, upstream.Access{Headers: map[string]string{"x-y": "s3cret", "X-Y": "s3cret"}}, "X-Y is there twice"},
		"two authorizations":       {http, upstream.Access{User: "u", Headers: map[string]string{"authorization": "s3cret"}}, "contradicts"},
		"many headers":             {http, upstream.Access{Headers: many}, "more than 32"},
		"large headers":            {http, upstream.Access{Headers: map[string]string{"A": strings.Repeat("s3cret", 9000)}}, "bytes"},
		"certificate":              {https, upstream.Access{Certificate: cert, Key: key}, ""},
		"certificate over http":    {http, upstream.Access{Certificate: cert, Key: key}, "not https"},
		"certificate alone":        {https, upstream.Access{Certificate: cert}, "no ClientKey"},
		"key alone":                {https, upstream.Access{Key: key}, "no ClientCertificate"},
		"key of another":           {https, upstream.Access{Certificate: cert, Key: other}, "does not belong"},
		"no PEM":                   {https, upstream.Access{Certificate: "s3cret", Key: "s3cret"}, "as PEM"},
		"types of other blocks":    {https, upstream.Access{Certificate: strings.ReplaceAll(cert, "CERTIFICATE", "s3cret"), Key: key}, "as PEM"},
		"key with a passphrase":    {https, upstream.Access{Certificate: cert, Key: strings.ReplaceAll(key, "PRIVATE", "ENCRYPTED PRIVATE")}, "passphrase"},
		"large certificate":        {https, upstream.Access{Certificate: strings.Repeat(cert, 200), Key: key}, "bytes"},
	} {
		err := c.access.Check(c.root)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		case err != nil && strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%s: the error has the secret: %v", name, err)
		}
	}
}

func TestAccessIsNotFormatted(t *testing.T) {
	a := upstream.Access{User: "s3cret", Password: "s3cret", Headers: map[string]string{"s3cret": "s3cret"}}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "value", a, "pointer", &a)
	texts := log.String() + fmt.Sprintf("%v %+v %#v %s %v %+v", a, a, a, a, &a, upstream.Request{Access: &a})
	if strings.Contains(texts, "s3cret") {
		t.Errorf("%s", texts)
	}
}

func TestUserIsTakenOutOfRoot(t *testing.T) {
	for root, want := range map[string][3]string{
		"https://deb.example/a/":                {"https://deb.example/a/", "", ""},
		"https://u:p@deb.example/a/":            {"https://deb.example/a/", "u", "p"},
		"https://u:p%40%2f@deb.example:8/a@b/":  {"https://deb.example:8/a@b/", "u", "p@/"},
		"https://token@deb.example/a%20b/":      {"https://deb.example/a%20b/", "token", ""},
		"http://u:p@[2001:db8::1]:80/":          {"http://[2001:db8::1]:80/", "u", "p"},
		"https://deb.example/who@where/":        {"https://deb.example/who@where/", "", ""},
		"https://u:p@deb.example/?x=1":          {"https://deb.example/?x=1", "u", "p"},
		"https://u%3Av:p@deb.example/x:y@z/+a/": {"https://deb.example/x:y@z/+a/", "u:v", "p"},
	} {
		clean, user, password := upstream.SplitUser(root)
		if got := [3]string{clean, user, password}; got != want {
			t.Errorf("%s: %q", root, got)
		}
	}
}

func TestOriginIsSchemeHostAndPort(t *testing.T) {
	for address, want := range map[string]string{
		"https://Deb.Example/a":    "https://deb.example:443",
		"HTTP://deb.example:80/":   "http://deb.example:80",
		"http://u:p@deb.example":   "http://deb.example:80",
		"https://[2001:DB8::1]/":   "https://[2001:db8::1]:443",
		"https://deb.example:8443": "https://deb.example:8443",
		"file:///etc":              "",
		"ftp://deb.example/":       "",
		"https://a b/":             "",
	} {
		if got := upstream.Origin(address); got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
}
