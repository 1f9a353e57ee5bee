package upstream_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/query"
	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

const (
	aptLists   = "/var/lib/apt/lists"
	debianKeys = "/usr/share/keyrings/debian-archive-keyring.gpg"
	batch      = 8192 // packages per edit, as in an update of a mirror
)

// debianMain serves Debian's own Release file and the index of main for amd64, as
// fetched by apt.
func debianMain(b *testing.B) (*upstreamtest.Server, upstream.Archive) {
	b.Helper()
	indexes, err := filepath.Glob(aptLists + "/*_debian_dists_*_main_binary-amd64_Packages*")
	if err != nil {
		b.Fatal(err)
	}
	var largest string
	var size int64
	for _, name := range indexes {
		if info, err := os.Stat(name); err == nil && info.Size() > size {
			largest, size = name, info.Size()
		}
	}
	begin, _, _ := strings.Cut(largest, "_main_binary-amd64_")
	_, distribution, _ := strings.Cut(begin, "_dists_")
	release, err := os.ReadFile(begin + "_InRelease")
	if largest == "" || err != nil {
		b.Skipf("%s has no index of Debian main with its InRelease: run apt-get update first", aptLists)
	}
	packages, err := exec.Command("/usr/lib/apt/apt-helper", "cat-file", largest).Output()
	if err != nil {
		b.Fatal(err)
	}
	const index = "main/binary-amd64/Packages"
	dir := "dists/" + strings.ReplaceAll(distribution, "_", "/") + "/"
	// apt keeps the index unpacked. Release lists that form, too.
	return upstreamtest.Serve(root, upstreamtest.Tree{dir + "InRelease": release, dir + index: packages}),
		upstream.Archive{Root: root, Distribution: strings.Trim(strings.TrimPrefix(dir, "dists/"), "/")}
}

// BenchmarkDebianMain verifies Debian's Release file, reads main for amd64 into a
// list, and filters it with dependencies.
func BenchmarkDebianMain(b *testing.B) {
	server, archive := debianMain(b)
	keys, err := os.ReadFile(debianKeys)
	if err != nil {
		b.Skipf("%v: install debian-archive-keyring", err)
	}
	ring, err := pgp.ParseKeyring(keys)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		store := pkglist.Store{Chunks: &lists.Store{Blobs: drivertest.NewMemory(time.Now).Blobs, Epoch: func() int64 { return 1 }}}
		k := upstream.Asker{Fetcher: server}
		release, _, err := archive.FetchRelease(b.Context(), k, upstream.Trust{Ring: ring}, upstream.Seen{})
		if err != nil {
			b.Fatal(err)
		}
		list, err := store.Open(b.Context(), pkglist.Ref{})
		if err != nil {
			b.Fatal(err)
		}
		r := upstream.Reader{Asker: k, Archive: archive, Release: release}
		edit, pending := list.Edit(), 0
		apply := func() {
			if list, err = edit.Apply(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
			edit, pending = list.Edit(), 0
		}
		for l, err := range r.Packages(b.Context(), archive.Indexes(upstream.Wanted{Components: []string{"main"}, Architectures: []string{"amd64"}})[0]) {
			if err == nil {
				err = edit.Add(l.Package)
			}
			if err != nil {
				b.Fatal(err)
			}
			if pending++; pending == batch {
				apply()
			}
		}
		apply()
		q, err := query.Parse("Priority (required) | Section (net)")
		if err != nil {
			b.Fatal(err)
		}
		selected, err := query.Select(b.Context(), list, q)
		if err != nil {
			b.Fatal(err)
		}
		closed, err := query.Closure(b.Context(), selected, nil, query.Options{Architectures: []string{"amd64", deb.AllArch}})
		if err != nil {
			b.Fatal(err)
		}
		if list.Count() < 60_000 {
			b.Fatalf("%d packages in Debian main", list.Count())
		}
		b.ReportMetric(float64(list.Count()), "packages")
		b.ReportMetric(float64(closed.Count()), "filtered")
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(usage.Maxrss)/1024, "MiB-peak")
	if usage.Maxrss > 1<<20 {
		b.Errorf("%d KiB of memory, more than 1 GiB", usage.Maxrss)
	}
}
