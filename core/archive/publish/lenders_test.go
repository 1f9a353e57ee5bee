package publish_test

import (
	"fmt"
	"strings"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// indexesPut counts the files by hash below a distribution that a process has sent.
func (s *sent) indexesPut(dist string) (n int) {
	for key := range s.put {
		if strings.HasPrefix(key, "public/dists/"+dist+"/") && strings.Contains(key, "/by-hash/") {
			n++
		}
	}
	return n
}

// TestEqualIndexesAreCopied publishes a list that is published elsewhere. Its indexes are
// copied, and not rendered. They have the bytes of indexes that are rendered. An update
// copies, too.
func TestEqualIndexesAreCopied(t *testing.T) {
	t.Parallel()
	const n = 1500
	env := drivertest.NewEnv()
	var packs []pack
	for i := range n {
		packs = append(packs, pack{fmt.Sprintf("package-%04d", i), "1", "amd64", fmt.Sprint(i)})
	}
	r := newRig(t.Context(), env)
	must(t, r.put("r", packs[1:]...), r.create(from("one", "r")))
	to := &sent{Blobs: env.Blobs, put: map[string][]int64{}}
	env.Blobs = to
	r = newRig(t.Context(), env) // a process that has published nothing
	must(t, r.create(from("two", "r")))
	if put := to.indexesPut("two"); put != 1 { // the Release beside Packages
		t.Errorf("a new publication sends %d indexes", put)
	}
	must(t, r.put("r", packs...), r.update(at("one")))
	clear(to.put)
	must(t, r.update(at("two")))
	if put := to.indexesPut("two"); put != 0 {
		t.Errorf("an update sends %d indexes", put)
	}
	has(t, env, nil)
	objects := env.Memory.Objects("public/dists/")
	for _, name := range []string{"main/binary-amd64/Packages", "main/binary-amd64/Packages.gz", "main/binary-amd64/Packages.bz2", "Contents-amd64.gz", "main/Contents-amd64.gz"} {
		if one, two := objects["public/dists/one/"+name], objects["public/dists/two/"+name]; one == "" || one != two {
			t.Errorf("%s differs", name)
		}
	}
}

// TestLostIndexesAreNotBorrowed publishes a list whose indexes elsewhere are lost, or are
// lost while they are copied. They are rendered.
func TestLostIndexesAreNotBorrowed(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(key string) bool{
		"the manifest":        func(key string) bool { return strings.HasSuffix(key, "/manifest.json") },
		"all by hash":         func(key string) bool { return strings.Contains(key, "/dists/one/main/binary-amd64/by-hash/") },
		"a readable manifest": func(string) bool { return false },
		"the Contents":        func(key string) bool { return strings.Contains(key, "/dists/one/by-hash/") },
	} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		must(t, r.put("r", hello, common), r.create(from("one", "r")))
		for key := range env.Memory.Objects("") {
			if lose(key) {
				must(t, env.Memory.Blobs.Delete(t.Context(), key))
			}
			if name == "a readable manifest" && strings.HasSuffix(key, "/manifest.json") {
				_, err := env.Memory.Blobs.Put(t.Context(), key, strings.NewReader("{"), driver.PutOptions{})
				must(t, err)
			}
		}
		must(t, r.create(from("two", "r")))
		objects := env.Memory.Objects("public/dists/two/")
		for _, want := range []string{"main/binary-amd64/Packages.bz2", "main/Contents-amd64.gz"} {
			if objects["public/dists/two/"+want] == "" {
				t.Errorf("without %s: no %s", name, want)
			}
		}
	}
}

// TestDropDoesNotLend publishes a list after the publication that had it is dropped.
func TestDropDoesNotLend(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello, common), r.create(from("one", "r")), r.drop(at("one")), r.create(from("two", "r")))
	has(t, env, map[string]string{"two/main/binary-amd64/Packages": "common=1 hello=1"})
}

// TestContentsAreLentPastAPublicationWithout: the last publication of a list has no
// Contents. A later one copies them from an earlier one that has them.
func TestContentsAreLentPastAPublicationWithout(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	to := &sent{Blobs: env.Blobs, put: map[string][]int64{}}
	env.Blobs = to
	r := newRig(t.Context(), env)
	without := from("two", "r")
	skip := true
	without.Options.SkipContents = &skip
	must(t, r.put("r", hello, common), r.create(from("one", "r")), r.create(without))
	clear(to.put)
	must(t, r.create(from("three", "r")))
	for key := range to.put {
		if strings.HasPrefix(key, "public/dists/three/by-hash/") {
			t.Errorf("%s was sent", key)
		}
	}
	objects := env.Memory.Objects("public/dists/")
	if one, three := objects["public/dists/one/Contents-amd64.gz"], objects["public/dists/three/Contents-amd64.gz"]; one == "" || one != three {
		t.Error("Contents differ")
	}
}
