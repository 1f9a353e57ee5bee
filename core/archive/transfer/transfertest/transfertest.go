package transfertest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/transfer"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// made is the creation time of the snapshot.
var made = time.Date(2025, 12, 24, 0, 0, 0, 0, time.UTC)

// UUIDs of the objects of Files begin with these, before the name.
const uuidEnd = "-0000-4000-8000-000000000000"

// Files returns the files of an upload directory with four objects. They are the
// repository name with the packages, its snapshot name-1, and the publications
// name/local and name/frozen.
func Files(name string, debs ...[]byte) (map[string][]byte, error) {
	files := map[string][]byte{}
	store := drivertest.NewMemory(time.Now)
	own := pkglist.Store{Chunks: &lists.Store{Blobs: store.Blobs, Epoch: func() int64 { return 0 }, Parallel: 1}}
	ctx := context.Background()
	empty, err := own.Open(ctx, pkglist.Ref{})
	if err != nil {
		return nil, err
	}
	edit := empty.Edit()
	for _, data := range debs {
		p, err := binary(data)
		if err != nil {
			return nil, err
		}
		files[transfer.FilePrefix+p.Files[0].SHA256] = data
		if err := edit.Add(p); err != nil {
			return nil, err
		}
	}
	list, err := edit.Apply(ctx, nil)
	if err != nil {
		return nil, err
	}
	for key, data := range store.Objects("private/chunks/") {
		files[transfer.ListPrefix+path.Base(key)] = []byte(data)
	}
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:4])
	r := &repo.Repo{UUID: id + uuidEnd, Name: name, Comment: "moved", DefaultComponent: "main", List: list.Ref()}
	s := &snapshot.Snapshot{UUID: id + "-1" + uuidEnd[2:], Name: name + "-1", CreatedAt: made, SourceKind: snapshot.OfRepo, List: list.Ref(),
		Sources: []snapshot.Source{{UUID: r.UUID, Name: r.Name}}}
	publication := func(distribution string, kind publish.SourceKind, uuid, source string) *transfer.Publication {
		return &transfer.Publication{Components: map[string]publish.Component{"main": {UUID: uuid, Name: source, List: list.Ref()}},
			Settings: publish.Settings{Name: publish.Name{Prefix: name, Distribution: distribution}, Kind: kind, Architectures: []string{"amd64"}, ByHash: true}}
	}
	objects := []transfer.Object{{Repo: r}, {Snapshot: s}, {Publication: publication("local", publish.Local, r.UUID, r.Name)},
		{Publication: publication("frozen", publish.Snapshot, s.UUID, s.Name)}}
	files[transfer.ObjectsName], err = transfer.Encode(objects)
	return files, err
}

// binary returns the package of a .deb.
func binary(data []byte) (*deb.Package, error) {
	hash := deb.NewHasher()
	hash.Write(data)
	control, _, err := deb.ReadBinary(bytes.NewReader(data), "test", deb.Growth{}, nil)
	if err != nil {
		return nil, err
	}
	fields, err := deb.ParseParagraph(string(control), deb.ModeControl)
	if err != nil {
		return nil, err
	}
	name := fields.Get("Package") + "_" + fields.Get("Version") + "_" + cmp.Or(fields.Get("Architecture"), "all") + ".deb"
	p, err := deb.BinaryPackage(fields, deb.Binary, hash.File(name))
	if err == nil {
		slices.SortFunc(p.Files, func(a, b deb.File) int { return cmp.Compare(a.Name, b.Name) })
	}
	return p, err
}
