package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestSignAWS: the signature is for the region of the profile, or for that of the address.
func TestSignAWS(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_REGION", "us-east-1")
	for address, want := range map[string]string{
		"https://deb.example.org/api/repos":                          "/eu-west-1/execute-api/aws4_request",
		"https://x.execute-api.eu-north-1.amazonaws.com/v/api/repos": "/eu-north-1/execute-api/aws4_request",
	} {
		sign, err := signAWS(t.Context(), "eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("{}"))
		if err == nil {
			err = sign(r)
		}
		if got := r.Header.Get("Authorization"); err != nil || !strings.HasPrefix(got, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
}
