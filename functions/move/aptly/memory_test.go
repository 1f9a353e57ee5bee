package aptly

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"

	"aptless/core/formats/deb"
)

// Sizes of the root of TestMemoryIsBounded, and its bound in MiB.
var (
	manyPackages  = flag.Int("memory-packages", 2000, "packages of TestMemoryIsBounded")
	manySnapshots = flag.Int("memory-snapshots", 60, "snapshots of TestMemoryIsBounded")
	mostMemory    = flag.Int64("memory-limit", 128, "MiB that TestMemoryIsBounded allows")
)

// Of the snapshots every fullEach-th has all packages. Another one has partOf of them.
const (
	fullEach = 20
	partOf   = 1000
)

// largeRoot makes a root with packages that share one file, and snapshots of them.
func largeRoot(t *testing.T, packages, snapshots int) string {
	t.Helper()
	root, data := t.TempDir(), []byte("a file of many packages")
	db, err := leveldb.OpenFile(filepath.Join(root, "db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, v any) {
		t.Helper()
		if err := db.Put([]byte(key), encode(v), nil); err != nil {
			t.Fatal(err)
		}
	}
	raw := sha256.Sum256(data)
	sum := hex.EncodeToString(raw[:])
	place := filepath.Join(sum[:2], sum[2:4], sum[4:32]+"_shared.deb")
	path := filepath.Join(root, "pool", place)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	refs := make([]string, packages)
	for i := range refs {
		name := fmt.Sprintf("package-%d", i)
		file := deb.File{Name: name + "_1.0_amd64.deb", Size: int64(len(data)), SHA256: sum}
		p, err := deb.BinaryPackage(deb.Paragraph{{Name: "Package", Value: name}, {Name: "Version", Value: "1.0"}, {Name: "Architecture", Value: "amd64"}}, deb.Binary, file)
		if err != nil {
			t.Fatal(err)
		}
		refs[i] = p.Key()
		put(refs[i], map[string]any{"Name": name, "Version": "1.0", "Architecture": "amd64", "Depends": []string{"libc6 (>= 2.36)", "libgcc-s1"},
			"Files": []any{map[string]any{"Filename": file.Name, "PoolPath": place, "Checksums": map[string]any{"Size": len(data), "SHA256": sum}}},
			"Extra": map[string]any{"Description": " a package\n of a test\n", "Maintainer": "Test <test@example.org>", "Section": "misc", "Priority": "optional"}})
	}
	for i := range snapshots {
		uuid, part := fmt.Sprintf("snap%d", i), refs
		if i%fullEach != 0 {
			from := i * 97 % max(1, packages-partOf)
			part = refs[from:min(packages, from+partOf)]
		}
		put("S"+uuid, map[string]any{"UUID": uuid, "Name": uuid, "SourceKind": "local"})
		put("E"+uuid, map[string]any{"Refs": part})
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestMemoryIsBounded: a process converts a root of many packages and snapshots. Its
// greatest memory has a bound, which "make migrate-memory" tries with a large root.
func TestMemoryIsBounded(t *testing.T) {
	if root := os.Getenv(readRoot); root != "" {
		r, objects, _ := convertTo(t, os.Getenv(readTo), Options{Root: root})
		if len(r.Problems) != 0 || len(objects) != *manySnapshots {
			t.Errorf("%d objects, problems: %.2000q", len(objects), r.Problems)
		}
		for _, o := range objects {
			if n := o.Snapshot.List.Count; n != *manyPackages && n != partOf {
				t.Errorf("snapshot %s has %d packages", o.Snapshot.Name, n)
			}
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(regexp.MustCompile(`VmHWM:\s+\d+ kB`).Find(status))) // proc_pid_status(5)
		return
	}
	root := largeRoot(t, *manyPackages, *manySnapshots)
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryIsBounded$", fmt.Sprint("-memory-packages=", *manyPackages), fmt.Sprint("-memory-snapshots=", *manySnapshots))
	cmd.Env = append(os.Environ(), readRoot+"="+root, readTo+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var peak int64
	if _, err := fmt.Sscanf(string(out), "VmHWM: %d kB", &peak); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	peak >>= 10
	t.Logf("%d packages and %d snapshots: %d MiB, %v of CPU time", *manyPackages, *manySnapshots, peak, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	most := *mostMemory
	if raced() {
		most *= 3
	}
	if peak > most {
		t.Errorf("the conversion takes %d MiB, more than %d", peak, most)
	}
}

// raced reports whether the program has the race detector, which needs memory of its own.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}
