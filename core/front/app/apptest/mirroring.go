package apptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/mirror"
	"aptless/core/archive/pool"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
)

// CreateMirror is the body that creates the mirror m of the archive.
const CreateMirror = `{"Name":"m","ArchiveURL":"https://archive.example.org/debian","Distribution":"stable"}`

// Archive describes an archive with a package of every kind, and serves it.
// Its key is in the default ring.
func (p *Process) Archive(t *testing.T) upstreamtest.Spec {
	t.Helper()
	signer := Signer(t)
	p.Trust(t, signer)
	spec := ArchiveSpec(signer)
	p.Upstream.Set(upstreamtest.Build(spec))
	return spec
}

// KeyID returns the ID of the only key of a signer, as messages name it.
func KeyID(signer pgp.Signer) string { return signer.PublicKeys()[0].ID().String() }

// Trust puts the keys of a signer into the default ring.
func (p *Process) Trust(t *testing.T, signer pgp.Signer) {
	t.Helper()
	p.Must(t, "POST", "/api/gpg/key", KeyBody(signer), nil)
}

// ArchiveSpec describes an archive that signer signs.
func ArchiveSpec(signer pgp.Signer) upstreamtest.Spec {
	return upstreamtest.Spec{
		Signer: signer, At: SigningTime.Add(time.Hour), Suffixes: []string{".gz"},
		Components: map[string]upstreamtest.Component{
			"main": {
				Packages: []debtest.Spec{
					{Package: "hello", Version: "2.10-3", Architecture: "amd64", Fields: map[string]string{"Depends": "hello-data"}},
					{Package: "hello-data", Version: "1:2.10+b1"},
					{Package: "kernel", Version: "6.1", Architecture: "amd64", Udeb: true},
				},
				Sources: []debtest.SourceSpec{{Source: "hello", Version: "2.10-3"}},
			},
			"contrib": {Packages: []debtest.Spec{{Package: "other"}}},
		},
	}
}

// KeyBody returns the body of the import of a signer's keys.
func KeyBody(signer pgp.Signer) string {
	var armor strings.Builder
	for _, k := range signer.PublicKeys() {
		armor.Write(k.Armor())
	}
	return JSON(map[string]string{"GpgKeyArmor": armor.String()})
}

// Mirroring is a world with an archive that changes while a mirror copies it.
type Mirroring struct {
	Signer pgp.Signer           // signer of the archive and of publications
	Server *upstreamtest.Server // serves the archive

	// Before is the archive when Begin updates the mirror. Now is the archive afterwards.
	Before, Now upstreamtest.Tree

	Env   *drivertest.Env // belongs to the running process
	Again []string        // requests for files that the pool has already
}

// NewMirroring returns a world without a mirror.
func NewMirroring(t *testing.T) *Mirroring {
	w := &Mirroring{Signer: Signer(t)}
	spec := ArchiveSpec(w.Signer)
	spec.Extra = map[string][]byte{"main/dep11/Components-amd64.yml.gz": []byte("old")}
	w.Before = upstreamtest.Build(spec)
	main := spec.Components["main"]
	main.Packages = []debtest.Spec{
		{Package: "hello", Version: "2.11-1", Architecture: "amd64"},
		{Package: "hello-data", Version: "1:2.10+b1"},
		{Package: "fresh", Architecture: "amd64"},
	}
	main.Sources = append(main.Sources, debtest.SourceSpec{Source: "hello", Version: "2.11-1"})
	spec.Components["main"] = main
	spec.Fields = map[string]string{"Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
	spec.Extra = map[string][]byte{"main/dep11/Components-amd64.yml.gz": []byte("new"), "main/dep11/icons-64x64.tar.gz": []byte("icons")}
	w.Now = upstreamtest.Build(spec)
	w.Server = upstreamtest.Serve(UpstreamRoot, w.Before)
	w.Server.Fault = func(path string, _ int, data []byte) ([]byte, error) {
		if !strings.HasPrefix(path, "pool/") && !strings.Contains(path, "/dep11/") || w.Env == nil {
			return data, nil
		}
		h := deb.NewHasher()
		h.Write(data)
		key := pool.FileKey(h.File("").SHA256)
		if _, there := w.Env.Memory.Objects(key)[key]; there {
			w.Again = append(w.Again, path)
		}
		return data, nil
	}
	return w
}

// Start starts a process in the world. One file is fetched at a time, so that
// every run makes the same calls.
func (w *Mirroring) Start(ctx context.Context, env *drivertest.Env) (*Process, error) {
	w.Env = env
	return Start(ctx, env, w.Signer, func(c *app.Config) { c.Upstream, c.Mirrors.Parallel = w.Server, 1 })
}

// Begin makes the mirror m, updates it, and changes the archive.
func (w *Mirroring) Begin(ctx context.Context, env *drivertest.Env) error {
	w.Server.Set(w.Before)
	p, err := w.Start(ctx, env)
	if err != nil {
		return err
	}
	_, keyErr := p.Do("POST", "/api/gpg/key", "application/json", []byte(KeyBody(w.Signer)))
	_, createErr := p.Do("POST", "/api/mirrors", "application/json",
		[]byte(strings.TrimSuffix(CreateMirror, "}")+`,"DownloadSources":true,"DownloadUdebs":true,"DownloadAppStream":true}`))
	if err := errors.Join(keyErr, createErr, p.Step("PUT", "/api/mirrors/m", "{}")); err != nil {
		return err
	}
	w.Server.Set(w.Now)
	return nil
}

// complete checks that every file of a package is in the pool and has every digest.
func complete(p *deb.Package, objects map[string]string) error {
	for _, f := range p.Files {
		if data, ok := objects[pool.FileKey(f.SHA256)]; !ok || int64(len(data)) != f.Size || f.MD5 == "" || f.SHA1 == "" || f.SHA512 == "" {
			return fmt.Errorf("file %+v of %v: in the pool %v", f, p, ok)
		}
	}
	return nil
}

// State returns packages, files and settings of the mirror m, without its UUID and
// times.
func (w *Mirroring) State(env *drivertest.Env) (string, error) {
	var m mirror.Mirror
	for key, data := range env.Memory.Rows("mirror") {
		if !strings.HasPrefix(key, "mirror/") {
			continue // row of a name, or of the calendar
		}
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			return "", err
		}
	}
	store := &mirror.Store{Table: env.Memory.Table, Pool: &pool.Store{Table: env.Memory.Table, Blobs: env.Memory.Blobs}}
	store.Lists.Chunks = &lists.Store{Blobs: env.Memory.Blobs, Cache: lists.NewCache(1 << 20), Epoch: func() int64 { return 0 }}
	list, err := store.Packages(context.Background(), m)
	if err != nil {
		return "", err
	}
	objects := env.Memory.Objects(pool.FilePrefix)
	var b strings.Builder
	for p, err := range list.All(context.Background()) {
		if err != nil {
			return "", err
		}
		rec, err := store.Pool.Record(context.Background(), p.Key())
		if err != nil {
			return "", err
		}
		var paths []string
		for path, err := range rec.Paths {
			if err != nil {
				return "", err
			}
			paths = append(paths, string(path))
		}
		fmt.Fprintf(&b, "%s %v %s\n", p.Key(), paths, rec.NoPaths)
		if err := complete(p, objects); err != nil {
			return "", err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(m.AppStreamFiles)) {
		fmt.Fprintf(&b, "%s %s\n", path, objects[pool.FileKey(m.AppStreamFiles[path])])
	}
	fmt.Fprintf(&b, "%v %v %v\n", m.Meta["Date"], m.Last, m.Updating)
	return b.String(), nil
}
