package aptly

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/syndtr/goleveldb/leveldb"

	"aptless/core/archive/transfer"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/functions/move"
)

// encode writes a value as aptly did: texts are raw, fields are in any order.
func encode(v any) []byte {
	switch v := v.(type) {
	case nil:
		return []byte{0xc0}
	case bool:
		if v {
			return []byte{0xc3}
		}
		return []byte{0xc2}
	case int:
		return binary.BigEndian.AppendUint64([]byte{0xd3}, uint64(v))
	case string:
		if len(v) < 32 {
			return append([]byte{0xa0 | byte(len(v))}, v...)
		}
		return append(binary.BigEndian.AppendUint16([]byte{0xda}, uint16(len(v))), v...)
	case []string:
		out := binary.BigEndian.AppendUint16([]byte{0xdc}, uint16(len(v)))
		for _, s := range v {
			out = append(out, encode(s)...)
		}
		return out
	case []any:
		out := binary.BigEndian.AppendUint16([]byte{0xdc}, uint16(len(v)))
		for _, e := range v {
			out = append(out, encode(e)...)
		}
		return out
	case map[string]any:
		out := binary.BigEndian.AppendUint16([]byte{0xde}, uint16(len(v)))
		for k, e := range v {
			out = append(append(out, encode(k)...), encode(e)...)
		}
		return out
	}
	panic(fmt.Sprintf("%T", v))
}

// oldRoot makes a root of the given records, and a pool with one package by MD5.
func oldRoot(t testing.TB, records map[string]any) (root string, data []byte) {
	t.Helper()
	root = t.TempDir()
	db, err := leveldb.OpenFile(filepath.Join(root, "db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, v := range records {
		raw, ok := v.([]byte)
		if !ok {
			raw = encode(v)
		}
		if err := db.Put([]byte(key), raw, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data = debtest.Deb(debtest.Spec{Package: "aa", Architecture: "amd64"})
	sum := md5.Sum(data)
	digest := hex.EncodeToString(sum[:])
	path := filepath.Join(root, "pool", digest[:2], digest[2:4], "aa_1.0_amd64.deb")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return root, data
}

// oldPackage is a package as one record, of aptly before 0.4: without digests but MD5.
func oldPackage() map[string]any {
	data := debtest.Deb(debtest.Spec{Package: "aa", Architecture: "amd64"})
	sum := md5.Sum(data)
	return map[string]any{"IsSource": false, "Name": "aa", "Version": "1.0", "Architecture": "amd64", "Source": "", "Provides": nil, "Depends": []string{"bb"},
		"Files": []any{map[string]any{"Filename": "aa_1.0_amd64.deb", "Checksums": map[string]any{"Size": len(data), "MD5": hex.EncodeToString(sum[:]), "SHA1": "", "SHA256": ""}}},
		"Extra": map[string]any{"Description": " old\n", "Maintainer": "x"}}
}

func convert(t testing.TB, root string) (Report, []transfer.Object, *move.Folder) {
	t.Helper()
	return convertTo(t, t.TempDir(), Options{Root: root})
}

// convertTo converts a root to a folder.
func convertTo(t testing.TB, dir string, opt Options) (Report, []transfer.Object, *move.Folder) {
	t.Helper()
	folder, err := move.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	opt.Now = time.Unix(0, 0)
	report, err := Convert(t.Context(), opt, folder)
	if err != nil {
		t.Fatal(err)
	}
	_, objects, err := folder.Read()
	if err != nil {
		t.Fatal(err)
	}
	return report, objects, folder
}

// TestOldForms: a package in one record without a hash in its key, and a pool by MD5.
// Publications have one source, and times three forms.
func TestOldForms(t *testing.T) {
	at := time.Date(2014, 5, 6, 7, 8, 9, 0, time.UTC)
	gob, err := at.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	stamp := string(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())))
	const ref = "Pamd64 aa 1.0"
	records := map[string]any{ref: oldPackage(), "Lu1": map[string]any{"UUID": "u1", "Name": "r"}, "Eu1": map[string]any{"Refs": []string{ref}},
		"Ssnap1": map[string]any{"UUID": "snap1", "Name": "s1", "CreatedAt": string(gob), "SourceKind": "local", "SourceIDs": []string{"u1"}},
		"Ssnap2": map[string]any{"UUID": "snap2", "Name": "s2", "CreatedAt": stamp, "SourceKind": "snapshot", "SourceIDs": []string{"snap1", "gone"}},
		"Ssnap3": map[string]any{"UUID": "snap3", "Name": "s3", "CreatedAt": string(binary.BigEndian.AppendUint32(nil, uint32(at.Unix())))},
		"Esnap1": map[string]any{"Refs": []string{ref}},
		"U.>>d1": map[string]any{"UUID": "p1", "Prefix": ".", "Distribution": "d1", "Component": "main", "SnapshotUUID": "snap1", "Architectures": []string{"amd64"}},
		"U.>>d2": map[string]any{"UUID": "p2", "Prefix": ".", "Distribution": "d2", "Component": "main", "SourceUUID": "u1", "SourceKind": "local", "Architectures": []string{"amd64"}},
		"Ep2":    map[string]any{"Refs": []string{ref}},
		"U.>>d3": map[string]any{"UUID": "p3", "Prefix": ".", "Distribution": "d3", "Sources": map[string]any{"main": "none"}, "SourceKind": "local"},
		"Rm1":    map[string]any{"UUID": "m1", "Name": "m", "ArchiveRoot": "http://x/", "Distribution": "d", "Components": []string{"main"}, "DownloadAppStream": true, "LastDownloadDate": map[string]any{}}}
	root, data := oldRoot(t, records)
	report, objects, folder := convert(t, root)
	if len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "d3: the local of its component main is gone") {
		t.Errorf("problems: %q", report.Problems)
	}
	hash := deb.NewHasher()
	hash.Write(data)
	full := 0
	for _, o := range objects {
		if s := o.Snapshot; s != nil && !s.CreatedAt.Equal(at) {
			t.Errorf("%s was made at %v", s.Name, s.CreatedAt)
		}
		if o.Snapshot != nil && o.Snapshot.Name == "s2" && (len(o.Snapshot.Sources) != 2 || o.Snapshot.Sources[1].Name != "gone") {
			t.Errorf("sources: %+v", o.Snapshot.Sources)
		}
		_ = o.Lists(func(ref *lists.Ref) error {
			list, err := folder.Lists.Open(t.Context(), *ref)
			if err != nil {
				t.Fatal(err)
			}
			for p, err := range list.All(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				full++
				if p.Files[0].SHA256 != hash.File("").SHA256 || !slices.Equal(p.Depends, []string{"bb"}) || p.Extra["Description"] != " old\n" {
					t.Errorf("%s: %+v", o.Name(), p)
				}
			}
			return nil
		})
	}
	if len(objects) != 7 || full != 4 {
		t.Errorf("%d objects, %d packages in them", len(objects), full)
	}
}

// TestNewFields: the fields of aptly 1.6 move: staged sources, the flags of a publication,
// its Version and SignedBy. A snapshot keeps the fields of Release of its mirror.
func TestNewFields(t *testing.T) {
	root, _ := oldRoot(t, map[string]any{"Lu1": map[string]any{"UUID": "u1", "Name": "r"}, "Lu2": map[string]any{"UUID": "u2", "Name": "next"},
		"Ssnap": map[string]any{"UUID": "snap", "Name": "s", "SourceKind": "local", "SourceIDs": []string{"u1"}, "Origin": "Debian", "NotAutomatic": "yes", "ButAutomaticUpgrades": "yes"},
		"U.>>d": map[string]any{"UUID": "p", "Prefix": ".", "Distribution": "d", "Sources": map[string]any{"main": "u1"}, "SourceKind": "local", "Architectures": []string{"amd64"},
			"Version": "12.1", "SignedBy": "ABCD", "SkipBz2": true, "MultiDist": true, "AcquireByHash": true, "Revision": map[string]any{"Sources": map[string]any{"main": "u2"}}}})
	report, objects, _ := convert(t, root)
	if len(report.Problems) != 0 {
		t.Errorf("problems: %q", report.Problems)
	}
	seen := 0
	for _, o := range objects {
		if p := o.Publication; p != nil {
			if seen++; p.Version != "12.1" || p.SignedBy != "ABCD" || !p.SkipBz2 || !p.MultiDist || !p.ByHash || p.Staged["main"] != "next" {
				t.Errorf("publication: %+v", p.Settings)
			}
		}
		if s := o.Snapshot; s != nil {
			if seen++; s.Origin != "Debian" || s.NotAutomatic != "yes" || s.ButAutomaticUpgrades != "yes" {
				t.Errorf("snapshot: %+v", s)
			}
		}
	}
	if seen != 2 {
		t.Errorf("objects: %+v", objects)
	}
}

// TestInstallersAndSkeletonsOfARoot: an installer of a mirror moves with its files. The
// skeleton files of a publication move with it, but for files of no component.
func TestInstallersAndSkeletonsOfARoot(t *testing.T) {
	p := oldPackage()
	p["IsInstaller"], p["Name"], p["Version"] = true, "installer", ""
	p["Files"].([]any)[0].(map[string]any)["Filename"] = "aa_1.0_amd64.deb"
	const ref = "Pamd64 installer "
	root, data := oldRoot(t, map[string]any{ref: p, "Rm1": map[string]any{"UUID": "m1", "Name": "m", "ArchiveRoot": "http://x/", "Distribution": "d", "Components": []string{"main"}, "DownloadInstaller": true},
		"Em1": map[string]any{"Refs": []string{ref}}, "Lu1": map[string]any{"UUID": "u1", "Name": "r"},
		"U.>>d": map[string]any{"UUID": "p", "Prefix": ".", "Distribution": "d", "Sources": map[string]any{"main": "u1"}, "SourceKind": "local", "Architectures": []string{"amd64"}}})
	for name, text := range map[string]string{"main/i18n/Translation-xx": "text\n", "main/notes": "", "other/x": "no component"} {
		path := filepath.Join(root, "skel/dists/d", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, objects, folder := convert(t, root)
	if len(r.Problems) != 0 || len(r.Notes) != 0 || r.Manifest.Version != 2 {
		t.Errorf("problems: %q, notes: %q, version %d", r.Problems, r.Notes, r.Manifest.Version)
	}
	for _, o := range objects {
		if o.Publication == nil {
			continue
		}
		if files := o.Publication.Skeleton["main"]; len(o.Publication.Skeleton) != 1 || len(files) != 2 {
			t.Errorf("skeleton files: %v", o.Publication.Skeleton)
		}
		for name, want := range map[string]string{"i18n/Translation-xx": "text\n", "notes": ""} {
			if got, err := os.ReadFile(folder.FilePath(o.Publication.Skeleton["main"][name])); err != nil || string(got) != want {
				t.Errorf("skeleton file %s: %q: %v", name, got, err)
			}
		}
	}
	hash, found := deb.NewHasher(), 0
	hash.Write(data)
	for _, o := range objects {
		if o.Mirror == nil {
			continue
		}
		list, err := folder.Lists.Open(t.Context(), o.Mirror.List)
		if err != nil {
			t.Fatal(err)
		}
		for p, err := range list.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if found++; p.Kind != deb.Installer || len(p.Files) != 1 || p.Files[0].SHA256 != hash.File("").SHA256 {
				t.Errorf("%+v", p)
			}
			if _, err := os.Stat(folder.FilePath(p.Files[0].SHA256)); err != nil {
				t.Error(err)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d installers", found)
	}
}

// TestDamagedRecordsAreNamed: each kind of damage is named, and the rest is converted.
func TestDamagedRecordsAreNamed(t *testing.T) {
	const ref = "Pamd64 aa 1.0"
	records := map[string]any{ref: oldPackage(), "Lu1": map[string]any{"UUID": "u1", "Name": "r"}, "Eu1": map[string]any{"Refs": []string{ref, "Pamd64 none 1.0", "Pamd64 cut 1.0"}},
		"Pamd64 cut 1.0": []byte{0x85, 0xa4}, "Lcut": []byte{0x81}, "Lother": encode([]string{"x"}), "Lnoname": map[string]any{"UUID": "noname"},
		"Lu2": map[string]any{"UUID": "u2", "Name": "lost"}, "Eu2": []byte{0xde}, "U.>>bad": map[string]any{"Distribution": "bad", "Sources": map[string]any{"main": "x"}}}
	root, _ := oldRoot(t, records)
	report, objects, _ := convert(t, root)
	text := strings.Join(report.Problems, "\n")
	for _, want := range []string{"package Pamd64 none 1.0: the record is missing", "package Pamd64 cut 1.0: ", "repository cut: ", "repository other: ", "repository noname: ",
		"repo lost: its list: ", "publication .>>bad: ", "repo r: 2 of its 3 packages do not move"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said:\n%s", want, text)
		}
	}
	if len(objects) != 1 || objects[0].Repo == nil || objects[0].Repo.List.Count != 1 {
		t.Errorf("objects: %+v", objects)
	}
}

// TestDamagedDatabaseIsAnError, and no panic: a table or the manifest is cut.
func TestDamagedDatabaseIsAnError(t *testing.T) {
	for _, pattern := range []string{"CURRENT", "MANIFEST-*"} {
		root, _ := oldRoot(t, map[string]any{"Lu1": map[string]any{"UUID": "u1", "Name": "r"}})
		found, err := filepath.Glob(filepath.Join(root, "db", pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		if err := os.Truncate(found[0], 3); err != nil {
			t.Fatal(err)
		}
		folder, err := move.OpenFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Convert(t.Context(), Options{Root: root}, folder); err == nil || !strings.Contains(err.Error(), "the database of "+root+" cannot be read") {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// TestCutTableIsNamed: one of two tables of the database is cut. The damage is named, and
// the objects and packages of the other table move.
func TestCutTableIsNamed(t *testing.T) {
	root, _ := oldRoot(t, map[string]any{"Pamd64 aa 1.0": oldPackage(), "Lu1": map[string]any{"UUID": "u1", "Name": "whole"}, "Eu1": map[string]any{"Refs": []string{"Pamd64 aa 1.0"}}})
	reopen := func(key string, v any) { // which writes the journal to a table
		t.Helper()
		db, err := leveldb.OpenFile(filepath.Join(root, "db"), nil)
		if err == nil && key != "" {
			err = db.Put([]byte(key), encode(v), nil)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	reopen("Lu2", map[string]any{"UUID": "u2", "Name": "lost"})
	reopen("", nil)
	tables, err := filepath.Glob(filepath.Join(root, "db", "*.ldb"))
	if err != nil || len(tables) != 2 {
		t.Fatalf("%q, %v", tables, err)
	}
	if r, objects, _ := convert(t, root); len(r.Problems) != 0 || len(objects) != 2 {
		t.Fatalf("%d objects, problems: %q", len(objects), r.Problems)
	}
	if err := os.Truncate(tables[1], 20); err != nil {
		t.Fatal(err)
	}
	r, objects, _ := convert(t, root)
	if text := strings.Join(r.Problems, "\n"); !strings.Contains(text, "repository of the damaged part: the database is damaged") {
		t.Errorf("problems: %s", text)
	}
	if len(objects) != 1 || objects[0].Name() != "whole" || objects[0].Repo.List.Count != 1 {
		t.Errorf("objects: %+v", objects)
	}
}

// readRoot and readTo are the variables of a process that converts a root and ends.
const (
	readRoot = "TEST_READ_ROOT"
	readTo   = "TEST_READ_TO"
)

// unprivileged is the user "nobody": permissions count for it.
const unprivileged = 65534

// TestRootIsOnlyRead: a process that is not root converts a root whose folders and files
// have no write bit. Nothing there changes.
func TestRootIsOnlyRead(t *testing.T) {
	if root := os.Getenv(readRoot); root != "" {
		if err := os.WriteFile(filepath.Join(root, "db", "new"), nil, 0o644); err == nil {
			t.Fatal("the root can be written")
		}
		if r, objects, _ := convertTo(t, os.Getenv(readTo), Options{Root: root}); len(r.Problems) != 0 || len(objects) != 1 {
			t.Errorf("%d objects, problems: %q", len(objects), r.Problems)
		}
		return
	}
	root, _ := oldRoot(t, map[string]any{"Pamd64 aa 1.0": oldPackage(), "Lu1": map[string]any{"UUID": "u1", "Name": "r"}, "Eu1": map[string]any{"Refs": []string{"Pamd64 aa 1.0"}}})
	base, to := filepath.Dir(root), t.TempDir()
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(base, "program")
	if err := errors.Join(os.WriteFile(copied, program, 0o755), os.Chmod(base, 0o755), os.Chmod(to, 0o777)); err != nil { // of a user's build, others cannot run the program
		t.Fatal(err)
	}
	state := func(change func(path string, info os.FileInfo) error) (all []string) {
		err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			all = append(all, fmt.Sprint(path, info.Size(), info.ModTime()))
			return change(path, info)
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := state(func(path string, info os.FileInfo) error { return os.Chmod(path, info.Mode()&^0o222|0o444) })
	t.Cleanup(func() {
		state(func(path string, info os.FileInfo) error { return os.Chmod(path, info.Mode()|0o200) })
	})
	cmd := exec.Command(copied, "-test.run=^TestRootIsOnlyRead$")
	cmd.Dir, cmd.Env = base, append(os.Environ(), readRoot+"="+root, readTo+"="+to, "TMPDIR="+to)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if after := state(func(string, os.FileInfo) error { return nil }); !slices.Equal(before, after) {
		t.Errorf("%q\nbefore\n%q", after, before)
	}
}

// TestSizesAreNoDigests: a run that compares sizes only does not tell the next run that
// the files are sound.
func TestSizesAreNoDigests(t *testing.T) {
	for _, hard := range []bool{false, true} {
		p := oldPackage()
		data := debtest.Deb(debtest.Spec{Package: "aa", Architecture: "amd64"})
		hash := deb.NewHasher()
		hash.Write(data)
		p["Files"].([]any)[0].(map[string]any)["Checksums"].(map[string]any)["SHA256"] = hash.File("").SHA256
		root, _ := oldRoot(t, map[string]any{"Pamd64 aa 1.0": p, "Lu1": map[string]any{"UUID": "u1", "Name": "r"}, "Eu1": map[string]any{"Refs": []string{"Pamd64 aa 1.0"}}})
		found, err := filepath.Glob(filepath.Join(root, "pool/*/*/*.deb"))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(found[0], data, 0o644); err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(found[0], past, past); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(filepath.Dir(root), "work") // links are of one file system
		if r, _, _ := convertTo(t, dir, Options{Root: root, Shallow: true, Hard: hard}); len(r.Problems) != 0 {
			t.Errorf("sizes: %q", r.Problems)
		}
		if r, _, _ := convertTo(t, dir, Options{Root: root, Hard: hard}); len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "is damaged") {
			t.Errorf("digests: %q", r.Problems)
		}
	}
}

// FuzzRecords: no value of the database ends the process, read as any record.
func FuzzRecords(f *testing.F) {
	f.Add(encode(oldPackage()))
	f.Add(encode(map[string]any{"UUID": "u", "Name": "n", "Sources": map[string]any{"main": "x"}, "CreatedAt": "12345678"}))
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0xdb, 0xff, 0xff, 0xff, 0xff})
	f.Add(append(slices.Repeat([]byte{0x91}, 100), 1))
	name := func(kind, uuid string) string { return uuid }
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = localRepo(data)
		_, _ = remoteRepo(data)
		_, _ = snapshotOf(data, name)
		_, _ = publishedRepo(data, name)
		if v, err := record(data); err == nil {
			p, _ := build(v, v, v.of("Extra"), []pooled{pooledFile(v)})
			if p != nil {
				_ = p.Key()
			}
			_ = v.time("CreatedAt")
		}
	})
}
