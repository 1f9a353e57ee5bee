package repo_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// shop returns the packages for tests of queries.
func shop() ([]debtest.SourceSpec, []debtest.Spec) {
	fields := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	return []debtest.SourceSpec{{Source: "hello", Version: "2.0-1"}}, []debtest.Spec{
		{Package: "hello", Version: "1.0", Architecture: "amd64", Fields: fields("Depends", "libx (>= 1) | liby", "Section", "devel")},
		{Package: "hello", Version: "2.0-1", Architecture: "amd64", Fields: fields("Depends", "virtual, gone", "Source", "hello (2.0-1)")},
		{Package: "hello", Version: "2.0-1", Architecture: "i386"},
		{Package: "libx", Version: "1.5", Fields: fields("Pre-Depends", "libz (>= 3)", "Recommends", "extra")},
		{Package: "liby", Version: "1"},
		{Package: "libz", Version: "2", Architecture: "amd64"},
		{Package: "libz", Version: "3", Architecture: "amd64"},
		{Package: "provider", Version: "7", Architecture: "amd64", Fields: fields("Provides", "virtual (= 2), other")},
		{Package: "extra", Version: "1"},
		{Package: "inst", Version: "1", Architecture: "amd64", Udeb: true},
	}
}

// listings are queries with their results, for a repository and for all packages.
var listings = []struct{ query, want string }{
	{"", "all extra 1, all libx 1.5, all liby 1, amd64 hello 1.0, amd64 hello 2.0-1, amd64 inst 1, amd64 libz 2, amd64 libz 3, amd64 provider 7, i386 hello 2.0-1, source hello 2.0-1"},
	{"q=hello", "amd64 hello 1.0, amd64 hello 2.0-1, i386 hello 2.0-1, source hello 2.0-1"},
	{"q=hello+%7Bamd64%7D", "amd64 hello 1.0, amd64 hello 2.0-1"},
	{"q=hello+(%3E+2.0-1)", "amd64 hello 2.0-1, i386 hello 2.0-1, source hello 2.0-1"},
	{"q=Version+(%3E+2.0-1)", "amd64 hello 2.0-1, amd64 libz 3, amd64 provider 7, i386 hello 2.0-1, source hello 2.0-1"},
	{"q=hello_1.0_amd64", "amd64 hello 1.0"},
	{"q=hello_1.0_i386", ""},
	{"q=virtual", "amd64 provider 7"},
	{"q=virtual+(%3D+2)", "amd64 provider 7"},
	{"q=other+(%3D+7)", "amd64 provider 7"},
	{"q=virtual+(%3D+7)", ""},
	{"q=%24Source+(hello)", "amd64 hello 1.0, amd64 hello 2.0-1, i386 hello 2.0-1"},
	{"q=%24PackageType+(udeb)", "amd64 inst 1"},
	{"q=Section+(devel)+%7C+Name+(%25+lib%3F)", "all libx 1.5, all liby 1, amd64 hello 1.0, amd64 libz 2, amd64 libz 3"},
	{"q=!%24Architecture+(amd64),+Name+(~+^h)", "i386 hello 2.0-1, source hello 2.0-1"},
	{"q=no-such-package", ""},
	{"q=hello_1.0_amd64&withDeps=1", "all libx 1.5, all liby 1, amd64 hello 1.0, amd64 libz 3"},
	{"q=hello_1.0_amd64&withDeps=true", "amd64 hello 1.0"},
	{"q=hello+(2.0-1)+%7Bamd64%7D&withDeps=1", "amd64 hello 2.0-1, amd64 provider 7"},
	{"q=libz_3_amd64&withDeps=1", "amd64 libz 3"},
	{"withDeps=1&q=", "all extra 1, all libx 1.5, all liby 1, amd64 hello 1.0, amd64 hello 2.0-1, amd64 inst 1, amd64 libz 2, amd64 libz 3, amd64 provider 7, i386 hello 2.0-1, source hello 2.0-1"},
	{"maximumVersion=1", "all extra 1, all libx 1.5, all liby 1, amd64 hello 2.0-1, amd64 inst 1, amd64 libz 3, amd64 provider 7"},
	{"q=libz&maximumVersion=1", "amd64 libz 3"},
	{"q=libz&maximumVersion=yes", "amd64 libz 2, amd64 libz 3"},
	{"q=hello_1.0_amd64&withDeps=1&maximumVersion=1", "all libx 1.5, all liby 1, amd64 hello 1.0, amd64 libz 3"},
	{"q=hello_1.0_amd64&q=libz", "amd64 hello 1.0"},
	{"q=hello;libz&maximumVersion=1", "all extra 1, all libx 1.5, all liby 1, amd64 hello 2.0-1, amd64 inst 1, amd64 libz 3, amd64 provider 7"},
}

// TestListingsAnswerQueries lists a repository and all packages by query.
func TestListingsAnswerQueries(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		sources, specs := shop()
		s.Stock(t, "r", sources, specs...)
		for _, path := range []string{"/api/repos/r/packages", "/api/packages"} {
			for _, tc := range listings {
				var keys []string
				if s.Must(t, "GET", path+"?"+tc.query, "", &keys); apptest.Short(slices.Clone(keys)) != tc.want {
					t.Errorf("%s?%s: %s, want %s", path, tc.query, apptest.Short(slices.Clone(keys)), tc.want)
				}
				var details []map[string]string
				s.Must(t, "GET", path+"?format=details&"+tc.query, "", &details)
				for i, d := range details {
					if i >= len(keys) || d["Key"] != keys[i] || d["ShortKey"]+" "+d["FilesHash"] != keys[i] {
						t.Errorf("%s?%s: the details of package %d are those of %s", path, tc.query, i, d["Key"])
					}
				}
				if len(details) != len(keys) {
					t.Errorf("%s?%s: %d details of %d packages", path, tc.query, len(details), len(keys))
				}
			}
			for query, want := range map[string]string{
				"q=name)":                      "parsing failed: unexpected token ): expecting end of query",
				"q=+":                          "parsing failed: unexpected token <EOL>: expecting field or package name",
				"q=Name+(~+[)":                 "parsing failed: regexp compile failed: error parsing regexp: missing closing ]: `[`",
				"q=a)&withDeps=1&format=other": "parsing failed: unexpected token ): expecting end of query",
			} {
				s.Refused(t, "GET", path+"?"+query, "", 400, want)
			}
			s.Want(t, "GET", path+"?q=nothing&format=details", "", 200, "[]")
		}
		s.Refused(t, "GET", "/api/repos/none/packages?q=a)", "", 404, "local repo with name none not found")
	})
}

// TestListingWithoutArchitectures lists with dependencies where no architecture
// is known.
func TestListingWithoutArchitectures(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Stock(t, "r", nil, debtest.Spec{Package: "doc"})
		for _, path := range []string{"/api/repos/r/packages", "/api/packages"} {
			s.Refused(t, "GET", path+"?q=doc&withDeps=1", "", 400, "unable to determine list of architectures, please specify explicitly")
			s.Want(t, "GET", path+"?withDeps=1", "", 200, `["Pall doc 1.0 …`)
		}
	})
}

// TestListingOfBadDependency lists with dependencies of which one cannot be
// parsed.
func TestListingOfBadDependency(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Stock(t, "r", nil, debtest.Spec{Package: "bad", Architecture: "amd64", Fields: map[string]string{"Depends": "x (>< 1)"}})
		for _, path := range []string{"/api/repos/r/packages", "/api/packages"} {
			s.Refused(t, "GET", path+"?q=bad&withDeps=1", "", 500,
				`unable to search: unable to process package bad_1.0_amd64: relation unknown "><" in dependency x (>< 1)`)
			s.Want(t, "GET", path+"?q=bad", "", 200, `["Pamd64 bad 1.0 …`)
		}
	})
}

// TestPackagesAreFoundByKey reads packages by key, from a repository and from all
// packages.
func TestPackagesAreFoundByKey(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := debtest.Spec{Package: "aa++", Version: "1:2.0+dfsg~rc1-1", Architecture: "amd64", Fields: map[string]string{
			"Depends": "b (>= 1) | c,d ,  e", "X-Custom": "<&>", "Description": "short\n long\n .\n more"}}
		s.Stock(t, "r", []debtest.SourceSpec{{Source: "src", Version: "1.0-1"}}, spec)
		var keys []string
		s.Must(t, "GET", "/api/packages", "", &keys)
		if got := apptest.Short(slices.Clone(keys)); got != "amd64 aa++ 1:2.0+dfsg~rc1-1, source src 1.0-1" {
			t.Fatal(got)
		}
		var details []map[string]string
		s.Must(t, "GET", "/api/packages?format=details", "", &details)
		for i, key := range keys {
			for _, encoded := range []string{url.PathEscape(key), strings.ReplaceAll(key, " ", "%20"), everyByte(key)} {
				var got map[string]string
				if s.Must(t, "GET", "/api/packages/"+encoded, "", &got); !maps.Equal(got, details[i]) {
					t.Errorf("%s: %v, want %v", encoded, got, details[i])
				}
			}
		}
		h := deb.NewHasher()
		h.Write(debtest.Deb(spec))
		f := h.File(debtest.FileName(spec))
		want := map[string]string{"Package": "aa++", "Version": "1:2.0+dfsg~rc1-1", "Architecture": "amd64", "Depends": "b (>= 1) | c, d, e", "X-Custom": "<&>",
			"Description": " short\n long\n .\n more\n", "Maintainer": "Test <test@example.com>", "Section": "misc", "Priority": "optional",
			"Filename": f.Name, "Size": fmt.Sprint(f.Size), "MD5sum": f.MD5, "SHA1": f.SHA1, "SHA256": f.SHA256, "SHA512": f.SHA512,
			"Key": keys[0], "ShortKey": "Pamd64 aa++ 1:2.0+dfsg~rc1-1", "FilesHash": keys[0][strings.LastIndexByte(keys[0], ' ')+1:]}
		if !maps.Equal(details[0], want) {
			t.Errorf("details %v, want %v", details[0], want)
		}
		if _, got := s.Ask(t, "GET", "/api/packages/"+url.PathEscape(keys[0]), ""); strings.ContainsAny(got, "<>&") || !strings.HasPrefix(got, `{"Architecture":"amd64","Depends":"b (\u003e= 1)`) {
			t.Errorf("not as JSON is encoded: %s", got)
		}
		for _, key := range []string{"Pamd64%20aa++%201:2.0+dfsg~rc1-1", "Pamd64+aa+1+0123456789abcdef", "Pamd64%20aa%201%200123456789abcdef", "x", "P", "Lamd64%20aa%201%200123456789abcdef",
			"Pamd64%20" + strings.Repeat("a", 2000) + "%201%200123456789abcdef", "Pamd64%20%FF%201%200123456789abcdef"} {
			s.Refused(t, "GET", "/api/packages/"+key, "", 404, "key not found")
		}
		s.Want(t, "GET", "/api/packages?q=no-such-package", "", 200, "[]")
	})
}

// everyByte percent-encodes each byte of a text.
func everyByte(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// TestAllPackagesWithOneShortKey lists all packages. Packages that no list can
// have together are all there.
func TestAllPackagesWithOneShortKey(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := debtest.Spec{Package: "foo", Architecture: "amd64", Files: map[string]string{"a": "1"}}
		s.Stock(t, "r1", nil, spec)
		spec.Files = map[string]string{"a": "2"}
		s.Stock(t, "r2", nil, spec)
		s.Must(t, "DELETE", "/api/repos/r2", "", nil)
		for query, n := range map[string]int{"": 2, "q=foo": 2, "q=foo&withDeps=1": 2, "maximumVersion=1": 1, "q=foo&maximumVersion=1": 1, "q=bar": 0} {
			var keys []string
			s.Must(t, "GET", "/api/packages?"+query, "", &keys)
			if len(keys) != n || !slices.IsSorted(keys) {
				t.Errorf("%s: %q", query, keys)
			}
		}
	})
}

// TestPackagesAreAddedAndRemovedByKey uses the paths that end in a slash.
func TestPackagesAreAddedAndRemovedByKey(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Stock(t, "r", nil, debtest.Spec{Package: "aa"}, debtest.Spec{Package: "bb"})
		s.Stock(t, "other", nil)
		var keys []string
		s.Must(t, "GET", "/api/repos/r/packages", "", &keys)
		refs := func(keys ...string) string {
			body, _ := json.Marshal(map[string][]string{"PackageRefs": keys})
			return string(body)
		}
		in := func(repo, want string) {
			t.Helper()
			var keys []string
			if s.Must(t, "GET", "/api/repos/"+repo+"/packages", "", &keys); apptest.Short(keys) != want {
				t.Errorf("%s has %s, want %s", repo, apptest.Short(keys), want)
			}
		}
		s.Want(t, "POST", "/api/repos/r/packages/", "", 307, "")
		done := func(method, path, body string, state int, output string) {
			t.Helper()
			if got, out := s.Task(t, method, path, body); got != state || out != output {
				t.Errorf("%s %s %s: state %d, %q, want %d, %q", method, path, body, got, out, state, output)
			}
		}
		unknown := "Pall zz 1.0 0123456789abcdef"
		done("POST", "/api/repos/r/packages", refs(keys[0]), 2, "Loading packages...\nAdding package aa\nTask succeeded")
		in("r", "all aa 1.0, all bb 1.0")
		done("POST", "/api/repos/other/packages", refs(keys[0], unknown), 3,
			"Loading packages...\nAdding package aa\nTask failed with error: packages "+unknown+": key not found")
		in("other", "")
		done("DELETE", "/api/repos/r/packages", refs(keys[0]), 2, "Loading packages...\nRemoving package aa\nTask succeeded")
		in("r", "all bb 1.0")
		done("DELETE", "/api/repos/r/packages", refs(keys[0]), 2, "Loading packages...\nRemoving package aa\nTask succeeded")
		done("DELETE", "/api/repos/r/packages", refs(unknown), 3, "Loading packages...\nTask failed with error: packages "+unknown+": key not found")
		done("POST", "/api/repos/r/packages", refs(keys[0]), 2, "Loading packages...\nAdding package aa\nTask succeeded")
		in("r", "all aa 1.0, all bb 1.0")
		s.Want(t, "POST", "/api/repos/other/packages", refs(keys...), 200, `{"Name":"other","Comment":"","DefaultDistribution":"","DefaultComponent":""}`)
		in("other", "all aa 1.0, all bb 1.0")
		s.Want(t, "POST", "/api/repos/other/packages", `{"PackageRefs":[]}`, 200, `{"Name":"other","Comment":"","DefaultDistribution":"","DefaultComponent":""}`)
		s.Refused(t, "POST", "/api/repos/other/packages", refs("nonsense"), 404, "packages nonsense: key not found")
		code, _ := s.Send(t, "DELETE", "/api/repos/other/packages?PackageRefs="+url.QueryEscape(keys[1])+"&PackageRefs="+url.QueryEscape(keys[0]), "", nil)
		if code != 200 {
			t.Errorf("keys as query parameters: %d", code)
		}
		in("other", "")
	})
}

// TestConflictingPackageIsNotAdded adds a conflicting package by key, and removes one by short
// key.
func TestConflictingPackageIsNotAdded(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := debtest.Spec{Package: "foo", Architecture: "amd64", Files: map[string]string{"a": "1"}}
		s.Stock(t, "r1", nil, spec)
		spec.Files = map[string]string{"a": "2"}
		s.Stock(t, "r2", nil, spec, debtest.Spec{Package: "bar"})
		var first, second []string
		s.Must(t, "GET", "/api/repos/r1/packages", "", &first)
		s.Must(t, "GET", "/api/repos/r2/packages", "", &second)
		body, _ := json.Marshal(map[string][]string{"PackageRefs": second})
		s.Refused(t, "POST", "/api/repos/r1/packages", string(body), 400, "package already exists and is different: foo_1.0_amd64")
		s.Want(t, "GET", "/api/repos/r1/packages", "", 200, fmt.Sprintf("[%q]", first[0]))
		s.Must(t, "DELETE", "/api/repos/r1/packages", string(body), nil)
		s.Want(t, "GET", "/api/repos/r1/packages", "", 200, "[]")
	})
}
