package aws

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"aptless/core/engine/driver"
)

func TestParseStorages(t *testing.T) {
	got, err := ParseStorages(" eu=s3://bucket/a/b/?region=eu-central-1\tlab.2=s3://other?endpoint=http://127.0.0.1:9000&profile=lab ")
	want := map[string]Storage{
		"eu":    {Bucket: "bucket", Prefix: "a/b/", Region: "eu-central-1"},
		"lab.2": {Bucket: "other", Endpoint: "http://127.0.0.1:9000", Profile: "lab"},
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := ParseStorages(" "); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{
		"eu", "s3://bucket", "=s3://bucket", "a:b=s3://bucket", "eu=https://bucket", "eu=s3:///prefix", "eu=s3://user@bucket", "eu=s3://bucket#x",
		"eu=s3://bucket/a/../b", "eu=s3://bucket/a//b", "eu=s3://bucket?acl=public", "eu=s3://bucket?region=a&region=b", "eu=s3://bucket?region=%zz",
		"eu=s3://bucket/" + strings.Repeat("x", 101), "eu=s3://bucket eu=s3://other",
	} {
		if got, err := ParseStorages(text); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// TestCheckConditions holds that a service that ignores conditional writes is refused. An
// unreachable one is accepted.
func TestCheckConditions(t *testing.T) {
	for name, value := range environment {
		t.Setenv(name, value)
	}
	for name, c := range map[string]struct {
		status int // status of a conditional write; 0 is an unreachable service
		want   error
	}{"AWS": {http.StatusPreconditionFailed, nil}, "disregards": {http.StatusOK, errUnconditional}, "refuses": {http.StatusNotImplemented, nil}, "away": {0, nil}} {
		t.Run(name, func(t *testing.T) {
			deleted := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case c.status == 0:
					panic(http.ErrAbortHandler)
				case r.Method == http.MethodPost:
					deleted++
					io.WriteString(w, "<DeleteResult></DeleteResult>")
				case r.Header.Get("If-Match") != "" || r.Header.Get("If-None-Match") != "":
					w.WriteHeader(c.status)
				}
			}))
			defer server.Close()
			_, err := OpenStorages(t.Context(), map[string]Storage{"lab": {Bucket: "b", Endpoint: server.URL}})
			if !errors.Is(err, c.want) || c.status != 0 && deleted != 1 {
				t.Errorf("%v, want %v; %d objects were deleted", err, c.want, deleted)
			}
		})
	}
}

// FuzzParseStorages holds that an accepted storage makes valid keys.
func FuzzParseStorages(f *testing.F) {
	f.Add("eu=s3://bucket/a/b?region=eu-central-1")
	f.Add("lab=s3://bucket?endpoint=http://[::1]:9000")
	f.Add("a=s3://%2f/%2e%2e/\x00")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseStorages(text)
		if err != nil && !errors.Is(err, driver.ErrInvalid) {
			t.Error(err)
		}
		for name, s := range all {
			if name == "" || s.Bucket == "" || driver.CheckKey(s.Prefix+"dists") != nil {
				t.Errorf("%q: %+v", name, s)
			}
		}
	})
}
