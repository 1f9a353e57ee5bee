package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"aptless/core/formats/deb/debtest"
	"aptless/tests/apt"
)

// add imports packages into the named repository and updates its publication.
func (s *server) add(name string, packages ...debtest.Spec) {
	s.t.Helper()
	s.must(s.upload(name, packages...))
	s.must(s.json("POST", "/api/repos/"+name+"/file/"+name, "", nil))
	s.must(s.json("PUT", "/api/publish/:./"+name, "{}", nil))
}

// client returns an apt for the named publication.
func (s *server) client(name string, opt apt.Options) *apt.Client {
	s.t.Helper()
	key, err := s.fetch(s.t.Context(), "key.asc")
	s.must(err)
	opt.URL, opt.Suite, opt.SignedBy = s.url+"/", name, key
	return apt.New(s.t, opt)
}

// TestAptFile has apt-file read Contents of a first publication, and a spliced one.
func TestAptFile(t *testing.T) {
	t.Parallel() // it waits for programs most of the time
	s := newServer(t)
	s.publish("files")
	c := s.client("files", apt.Options{Contents: true})
	find := func(words string, want ...string) {
		t.Helper()
		r := c.FindFile(t.Context(), words)
		got := strings.Split(strings.TrimSpace(r.Output), "\n")
		if r.Code == 1 && r.Output == "" { // apt-file found no file
			got = nil
		} else if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("apt-file finds %q for %s, want %q", got, words, want)
		}
	}
	s.add("files", debtest.Spec{Package: "alpha", Files: map[string]string{"usr/share/alpha/file with blanks": "a", "usr/bin/common": "a"}},
		debtest.Spec{Package: "beta", Files: map[string]string{"usr/bin/common": "b"}})
	s.must(c.Update(t.Context()).Err())
	find("file with blanks", "alpha: /usr/share/alpha/file with blanks")
	find("bin/common", "alpha: /usr/bin/common", "beta: /usr/bin/common")
	s.add("files", debtest.Spec{Package: "gamma", Files: map[string]string{"usr/bin/common": "c", "usr/lib/new": "c"}})
	s.must(s.json("DELETE", "/api/repos/files/packages", `{"PackageRefs":["`+s.key("files", "beta")+`"]}`, nil))
	s.must(s.json("PUT", "/api/publish/:./files", "{}", nil))
	s.must(c.Update(t.Context()).Err())
	find("lib/new", "gamma: /usr/lib/new")
	find("bin/common", "alpha: /usr/bin/common", "gamma: /usr/bin/common")
	find("nowhere")
}

// key returns the key of the named package in a repository.
func (s *server) key(repo, name string) string {
	s.t.Helper()
	var keys []string
	s.must(s.json("GET", "/api/repos/"+repo+"/packages", "", &keys))
	i := slices.IndexFunc(keys, func(k string) bool { return strings.Contains(k, " "+name+" ") })
	if i < 0 {
		s.t.Fatalf("%s is not among %q", name, keys)
	}
	return keys[i]
}

// TestCompressions has apt read indexes of several pieces in every compression, rendered
// at once and spliced.
func TestCompressions(t *testing.T) {
	t.Parallel() // it waits for programs most of the time
	s := newServer(t, "--compress", "xz,zst")
	s.publish("forms")
	var many []debtest.Spec
	for i := range 1000 {
		many = append(many, debtest.Spec{Package: fmt.Sprintf("package-%03d", i)})
	}
	forms := map[string]*apt.Client{}
	for _, form := range []string{"gz", "bz2", "xz", "zst"} {
		forms[form] = s.client("forms", apt.Options{Compressed: form})
	}
	count := func(want int) {
		t.Helper()
		for form, c := range forms {
			s.must(c.Update(t.Context()).Err())
			kept := 0
			for name := range c.Lists(t) {
				if strings.HasSuffix(name, "_Packages."+form) {
					kept++
				}
			}
			r := c.Policy(t.Context(), "package-000", "package-999", "package-5000")
			s.must(r.Err())
			if n := strings.Count(r.Output, "Candidate: 1.0"); n != want || kept != 1 {
				t.Errorf("%s: %d of the packages are known, want %d; %d files were kept", form, n, want, kept)
			}
		}
	}
	s.add("forms", many...)
	count(2)
	s.add("forms", debtest.Spec{Package: "package-5000"})
	count(3)
	s.verify("forms")
}
