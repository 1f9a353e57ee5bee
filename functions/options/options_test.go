package options

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"aptless/core/archive/mirror"
	"aptless/core/archive/query"
	"aptless/core/archive/upstream"
)

// env returns a function like os.Getenv from pairs of name and value.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestFromEnv(t *testing.T) {
	o, err := parse(env(
		"APTLESS_ASYNC", "true", "APTLESS_ARCHITECTURES", "amd64, arm64", "APTLESS_FOLLOW_SOURCE", "1", "APTLESS_COMPRESS", "xz zst",
		"APTLESS_SKIP_BZ2", " true ", "APTLESS_ALLOW_UPSTREAM", "10.0.0.0/8 deb.example.org", "APTLESS_DOWNLOAD_LIMIT", "1024",
		"APTLESS_MIRROR_SOURCES", "true", "APTLESS_MIRROR_PARALLEL", "8", "APTLESS_PPA_CODENAME", "noble", "APTLESS_SKIP_CONTENTS", "false",
		"APTLESS_OUTAGE", "1h", "APTLESS_DIGESTS", "sha256", "APTLESS_GZIP_LEVEL", "9",
	))
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		Async: true, Dependencies: query.Options{Architectures: []string{"amd64", "arm64"}, FollowSource: true},
		Compressions: []string{"xz", "zst"}, Digests: []string{"sha256"}, GzipLevel: 9, SkipBz2: true, AllowUpstream: []string{"10.0.0.0/8", "deb.example.org"}, DownloadLimit: 1024,
		Outage: time.Hour, MaxUpload: 16384,
		Mirrors: mirror.Options{DownloadSources: true, Parallel: 8, PPA: upstream.PPA{Codename: "noble", Distributor: "ubuntu", BaseURL: "http://ppa.launchpad.net"}},
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Error(diff)
	}
	c, err := o.Config()
	if err != nil {
		t.Fatal(err)
	}
	if !c.Async || !c.SkipBz2 || c.SkipContents || c.Upstream == nil || c.Version == "" || c.GzipLevel != 9 || !reflect.DeepEqual(c.Digests, want.Digests) || !reflect.DeepEqual(c.Compressions, want.Compressions) ||
		!reflect.DeepEqual(c.Dependencies, want.Dependencies) || !reflect.DeepEqual(c.Mirrors, want.Mirrors) {
		t.Errorf("%+v", c)
	}
}

// TestRefusals holds that an invalid value is refused, and that the error has the name
// that the operator used.
func TestRefusals(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"APTLESS_ASYNC", "perhaps", "APTLESS_ASYNC"},
		{"APTLESS_MIRROR_PARALLEL", "many", "APTLESS_MIRROR_PARALLEL"},
		{"APTLESS_MIRROR_PARALLEL", "0", "mirror-parallel"},
		{"APTLESS_MIRROR_PARALLEL", "65", "mirror-parallel"},
		{"APTLESS_DOWNLOAD_LIMIT", "-1", "download-limit"},
		{"APTLESS_MAX_UPLOAD", "0", "max-upload"},
		{"APTLESS_MAX_UPLOAD", "1048577", "max-upload"},
		{"APTLESS_DOWNLOAD_LIMIT", "1125899906842624", "download-limit"},
		{"APTLESS_COMPRESS", "lzma", "compress"},
		{"APTLESS_COMPRESS", "xz,xz", "compress"},
		{"APTLESS_DIGESTS", "md5", "digests"},
		{"APTLESS_DIGESTS", "sha256,sha256", "digests"},
		{"APTLESS_DIGESTS", "crc32", "digests"},
		{"APTLESS_GZIP_LEVEL", "0", "gzip-level"},
		{"APTLESS_GZIP_LEVEL", "10", "gzip-level"},
		{"APTLESS_ARCHITECTURES", "amd64,AMD/64", "architectures"},
		{"APTLESS_ALLOW_UPSTREAM", "10.0.0.0/99", "allow-upstream"},
		{"APTLESS_PPA_CODENAME", "../noble", "ppa-codename"},
		{"APTLESS_PPA_DISTRIBUTOR", "a/b", "ppa-distributor"},
		{"APTLESS_PPA_URL", "ppa.launchpad.net", "ppa-url"},
		{"APTLESS_PPA_URL", "file:///etc", "ppa-url"},
	} {
		if _, err := FromEnv(env(c.name, c.value)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
	}
}

// TestDefaults holds that an empty environment and no flags mean the same, and that every
// option has a flag.
func TestDefaults(t *testing.T) {
	fromEnv, err := parse(env())
	if err != nil {
		t.Fatal(err)
	}
	var fromFlags Options
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	fromFlags.Flags(flags)
	if err := flags.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromFlags, fromEnv); diff != "" {
		t.Error(diff)
	}
	if _, err := fromEnv.Config(); err != nil {
		t.Error(err)
	}
	flags.VisitAll(func(f *pflag.Flag) {
		value := map[string]string{"bool": "true", "int": "7", "int64": "7", "duration": "7m"}[f.Value.Type()]
		if value == "" {
			value = "x"
		}
		if err := f.Value.Set(value); err != nil {
			t.Error(err)
		}
	})
	// Mirrors.Architectures stays empty: app.New copies Dependencies.Architectures.
	fromFlags.Mirrors.Architectures = fromFlags.Dependencies.Architectures
	if field := unset(reflect.ValueOf(fromFlags)); field != "" {
		t.Errorf("no flag sets %s", field)
	}
}

// unset returns the name of a field that has no value, or "".
func unset(v reflect.Value) string {
	for field, value := range v.Fields() {
		if value.Kind() == reflect.Struct {
			if name := unset(value); name != "" {
				return field.Name + "." + name
			}
			continue
		}
		if value.IsZero() && value.Kind() != reflect.Func {
			return field.Name
		}
	}
	return ""
}
