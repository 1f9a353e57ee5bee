package aws

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"aptless/core/driver"
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

// FuzzParseStorages holds that what is taken is what keys can be made of.
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
