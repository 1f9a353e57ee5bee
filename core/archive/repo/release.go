package repo

import (
	"context"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/upload"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// release is a .changes file, with its listed files at the time of reading.
type release struct {
	upload  upload.Upload
	changes *deb.Changes
	files   map[string]upload.Upload // by base name
	signers []pgp.KeyID
	repo    string // of the valid signatures
	uuid    string
	refusal string // reason of a refusal; "" if accepted
	trimmed bool   // changes, files and signers must be read again before the import
}

// signedBy returns the IDs of the signers; nil without a release.
func (r *release) signedBy() []string {
	if r == nil {
		return nil
	}
	var list []string
	for _, id := range r.signers {
		list = append(list, id.String())
	}
	return list
}

// find returns a file in a directory. For a release it must be a listed one.
func (r *release) find(ctx context.Context, from *upload.Store, dir, name string) (upload.Upload, error) {
	if r == nil {
		return from.Find(ctx, dir, name)
	}
	if u, ok := r.files[path.Base(name)]; ok {
		return u, nil
	}
	return upload.Upload{}, upload.Missing("stat", upload.Path(dir, name))
}

// compact drops the parts of a .changes that its import does not need, since the
// text may have megabytes. It returns the remaining bytes.
func (r *release) compact() int64 {
	if r.refusal != "" {
		r.changes, r.files = nil, nil
		return 0
	}
	from, size := r.changes, 0
	keep := func(text string) string {
		size += len(text) + 16
		return strings.Clone(text)
	}
	keepAll := func(texts []string) []string {
		texts = slices.Clone(texts)
		for i := range texts {
			texts[i] = keep(texts[i])
		}
		return texts
	}
	r.changes = &deb.Changes{Source: keep(from.Source), Distribution: keep(from.Distribution),
		Architectures: keepAll(from.Architectures), Binaries: keepAll(from.Binaries)}
	files := make(map[string]upload.Upload, len(r.files))
	for _, f := range from.Files {
		name := keep(f.Name)
		r.changes.Files = append(r.changes.Files, deb.File{Name: name})
		files[name] = r.files[f.Name]
		size += len(name) + fileMemory
	}
	r.files = files
	return int64(size)
}

// fileMemory is the memory of a listed file without its names, in bytes: a
// deb.File and an upload.Upload.
const fileMemory = 1 << 10
