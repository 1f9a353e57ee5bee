package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

// TestServerTakesNoDamage tortures aptless for a moment. No acknowledged package is lost, and
// readers by hash see no mixture.
func TestServerTakesNoDamage(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "aptless")
	if out, err := exec.Command("go", "build", "-o", bin, "../../functions/aptless").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := options{aptless: bin, writers: 4, kills: 2, between: 700 * time.Millisecond, seed: uint64(time.Now().UnixNano()), work: t.TempDir(), async: !testing.Short()}
	if !testing.Short() {
		o.kills = 5
	}
	var out bytes.Buffer
	all, err := torture(o, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.damage() > 0 || c.conflicts > 0 || c.failed > 0 {
			t.Errorf("seed %d\n%s\n%s", o.seed, &out, strings.Join(c.reasons, "\n"))
		}
		if c.kills != o.kills || c.imported < 3 || c.published < 3 || c.reads[byHash] == 0 || c.reads[plain] == 0 {
			t.Errorf("seed %d: the run has done too little: %+v", o.seed, c)
		}
	}
	if left, err := os.ReadDir(o.work); err != nil || len(left) > 0 {
		t.Errorf("the folder still has %v, %v", left, err)
	}
}

// TestReadersSeeDamage shows each kind of damage to a reader.
func TestReadersSeeDamage(t *testing.T) {
	k, err := pgp.Generate("Torture", "torture@example.org", pgp.Ed25519, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := pgp.NewKeyring(k.Key)
	if err != nil {
		t.Fatal(err)
	}
	const index = "dists/one/main/binary-amd64/Packages.gz"
	build := func(packages ...debtest.Spec) upstreamtest.Tree {
		tree := upstreamtest.Build(upstreamtest.Spec{Signer: signer, At: time.Now(), Distribution: "one", Suffixes: []string{".gz"},
			Components: map[string]upstreamtest.Component{"main": {Packages: packages}}, Architectures: []string{"amd64"}})
		tree[fmt.Sprintf("dists/one/main/binary-amd64/by-hash/SHA256/%x", sha256.Sum256(tree[index]))] = tree[index]
		return tree
	}
	aa := debtest.Spec{Package: "aa", Architecture: "amd64"}
	before, after := build(aa), build(aa, debtest.Spec{Package: "bb", Architecture: "amd64"})
	stale := func(err error) bool { return errors.As(err, new(*staleError)) }
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	for name, c := range map[string]struct {
		spoil           func(tree upstreamtest.Tree)
		hashed, plainly func(error) bool // of the reader by hash, and of the other
		expected        string           // a package that has to be there
	}{
		"sound":                {func(upstreamtest.Tree) {}, is(nil), is(nil), "aa"},
		"plain index is newer": {func(tree upstreamtest.Tree) { tree[index] = after[index] }, is(nil), is(errMixed), "aa"},
		"both indexes are newer": {func(tree upstreamtest.Tree) {
			inRelease := tree["dists/one/InRelease"]
			clear(tree)
			maps.Copy(tree, after)
			tree["dists/one/InRelease"] = inRelease
		}, is(errMixed), is(errMixed), "aa"},
		"no index": {func(tree upstreamtest.Tree) {
			maps.DeleteFunc(tree, func(p string, _ []byte) bool {
				return strings.Contains(p, "Packages") || strings.Contains(p, "by-hash")
			})
		}, is(errMixed), is(errMixed), "aa"},
		"InRelease changed": {func(tree upstreamtest.Tree) { tree["dists/one/InRelease"][80] ^= 1 }, is(errMixed), is(errMixed), "aa"},
		"no InRelease":      {func(tree upstreamtest.Tree) { delete(tree, "dists/one/InRelease") }, is(errMixed), is(errMixed), "aa"},
		"no package file": {func(tree upstreamtest.Tree) {
			maps.DeleteFunc(tree, func(p string, _ []byte) bool { return strings.HasSuffix(p, ".deb") })
		}, is(errMissing), is(errMissing), "aa"},
		"another file": {func(tree upstreamtest.Tree) {
			for p := range tree {
				if strings.HasSuffix(p, ".deb") {
					tree[p] = []byte("x")
				}
			}
		}, is(errMissing), is(errMissing), "aa"},
		"package is not there": {func(upstreamtest.Tree) {}, stale, stale, "bb"},
	} {
		dir := t.TempDir()
		files := maps.Clone(before)
		for p := range files {
			files[p] = bytes.Clone(files[p])
		}
		c.spoil(files)
		for p, data := range files {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, p), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		r := tree{&server{key: key{ring: ring}}, dir}
		for m, want := range map[mode]func(error) bool{byHash: c.hashed, plain: c.plainly} {
			if _, err := r.read("one", m, map[string]bool{c.expected: true}, 0); !want(err) {
				t.Errorf("%s, mode %d: %v", name, m, err)
			}
		}
	}
}

// TestRefusalsAreCounted gives a writer each kind of answer.
func TestRefusalsAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		err                         error
		down                        bool
		conflicts, failed, givenUps int
	}{
		"conflict":             {&refusal{409, "x"}, false, most, 0, 1},
		"error":                {&refusal{500, "x"}, false, 0, most, 1},
		"refused connection":   {errors.New("refused"), false, 0, most, 1},
		"while it is down":     {errors.New("refused"), true, 0, 0, 1},
		"upload that is taken": {errTaken, false, 0, 0, 1},
	} {
		r := newRun(&server{}, options{}, io.Discard)
		r.killing.Store(c.down)
		r.pause = 0
		if err := (&writer{run: r}).retry(context.Background(), func() error { return c.err }); err != errGivenUp {
			t.Errorf("%s: %v", name, err)
		}
		if got := r.result(); got.conflicts != c.conflicts || got.failed != c.failed || got.givenUp != c.givenUps {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestMistakesAreRefused(t *testing.T) {
	for _, o := range []options{
		{writers: 0, between: 1}, {writers: 1, between: 0}, {writers: 1, between: 1, kills: -1},
		{writers: 1, between: 1, servers: []string{"x"}}, {writers: 1, between: 1, servers: []string{"x=cmd {addr}"}}, {writers: 1, between: 1, servers: []string{"=cmd {addr} {root}"}},
	} {
		o.work = t.TempDir()
		if _, err := torture(o, io.Discard, io.Discard); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
