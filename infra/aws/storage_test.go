package aws

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
		"eu=s3://bucket?profile=a&secret=b", "eu=s3://bucket/" + strings.Repeat("x", 101), "eu=s3://bucket eu=s3://other",
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

// TestStorageOfAnotherService: a function reads the keys of a storage from a secret, when it
// writes first. It writes nothing to a service that ignores conditions. A profile is refused
// with the remedy.
func TestStorageOfAnotherService(t *testing.T) {
	for name, value := range environment {
		t.Setenv(name, value)
	}
	by, ignores := map[string]bool{}, false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), "/")
		by[key] = true
		switch {
		case r.Method == http.MethodPost:
			io.WriteString(w, "<DeleteResult></DeleteResult>")
		case (r.Header.Get("If-Match") != "" || r.Header.Get("If-None-Match") != "") && !ignores:
			w.WriteHeader(http.StatusPreconditionFailed)
		}
	}))
	defer server.Close()
	secret := filepath.Join(t.TempDir(), "keys")
	env := maps.Clone(map[string]string{"APTLESS_TABLE": "t", "APTLESS_PRIVATE_BUCKET": "p", "APTLESS_PUBLIC_BUCKET": "q", "APTLESS_QUEUE": "u"})
	env["APTLESS_STORAGES"] = "r2=s3://b?endpoint=" + server.URL + "&secret=file:" + secret
	c, err := FromEnv(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	write := func() error {
		t.Helper()
		d, err := Connect(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		storages, err := d.ConnectStorages(t.Context(), c.Storages)
		if err != nil {
			t.Fatal(err)
		}
		_, err = storages["s3:r2"].Put(t.Context(), "public/x", strings.NewReader("x"), driver.PutOptions{})
		return err
	}
	if err := write(); err == nil {
		t.Error("written without the keys")
	}
	if err := os.WriteFile(secret, []byte(`{"AccessKeyId":"R2KEY","SecretAccessKey":"s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil || !by["R2KEY"] || len(by) != 1 {
		t.Errorf("%v, by %v", err, by)
	}
	ignores = true
	if err := write(); !errors.Is(err, errUnconditional) {
		t.Errorf("a service that ignores conditions: %v", err)
	}
	env["APTLESS_STORAGES"] = "r2=s3://b?profile=r2"
	if _, err := FromEnv(func(name string) string { return env[name] }); !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), "secret=") {
		t.Errorf("a profile: %v", err)
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

// TestNoStorageNeedsNoConfiguration opens no storage where the SDK has a profile that does
// not exist. A server without storages in S3 has no use for it.
func TestNoStorageNeedsNoConfiguration(t *testing.T) {
	t.Setenv("AWS_PROFILE", "none")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	if all, err := OpenStorages(t.Context(), nil); err != nil || all == nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := OpenStorages(t.Context(), map[string]Storage{"one": {Bucket: "b"}}); err == nil {
		t.Error("a profile that does not exist is no error for a storage")
	}
}
