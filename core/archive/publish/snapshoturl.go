package publish

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// snapshotForm is the form of a snapshot's ID: the time whose publications it
// shows (apt's option --snapshot).
const snapshotForm = "20060102T150405Z"

// AsOf returns the key of the object of a file as it was published at a time to
// the default storage. id is the time in snapshotForm; name is the path of the
// file with the prefix. driver.ErrNotFound if there was none, it is forgotten, or
// the time has not come.
func (s *Store) AsOf(ctx context.Context, id, name string) (key string, err error) {
	at, err := time.Parse(snapshotForm, id)
	if err != nil || at.After(s.Now()) {
		return "", driver.ErrNotFound
	}
	prefix, below := splitPrefix(name)
	if key, err = s.indexAsOf(ctx, at, prefix, below); key != "" || err != nil {
		return key, err
	}
	all, err := s.scan(ctx, Name{Prefix: prefix}.dist().StoragePrefix()+"/")
	if err != nil {
		return "", err
	}
	for _, p := range all {
		rev := p.revisionAt(at)
		if p.Prefix != prefix || p.Dropping || rev == nil {
			continue
		}
		if key, err = s.asOf(ctx, &p, rev, below); key != "" || err != nil {
			return key, err
		}
	}
	return "", driver.ErrNotFound
}

// maxDistParts is how many parts the name of a distribution has that indexAsOf finds.
const maxDistParts = 3

// indexAsOf is asOf of a file below the directory of its distribution, whose name
// the path has: it reads one row, where a scan reads those of all distributions. It
// returns "" if no distribution of that name was published at the time.
func (s *Store) indexAsOf(ctx context.Context, at time.Time, prefix, below string) (string, error) {
	path, isIndex := strings.CutPrefix(below, "dists/")
	parts := strings.Split(path, "/")
	for n := 1; isIndex && n < len(parts) && n <= maxDistParts; n++ {
		p, err := s.read(ctx, s.get, Name{Prefix: prefix, Distribution: strings.Join(parts[:n], "/")})
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		rev := p.revisionAt(at)
		if p.Dropping || rev == nil {
			return "", nil
		}
		key, err := s.asOf(ctx, &p, rev, below)
		if key == "" && err == nil {
			err = driver.ErrNotFound // no two trees have overlapped at a time
		}
		return key, err
	}
	return "", nil
}

// splitPrefix splits the path of a file into the prefix and the rest, which
// begins with dists or pool: no prefix has a component of these names.
func splitPrefix(name string) (prefix, below string) {
	parts := strings.Split(name, "/")
	i := slices.IndexFunc(parts, func(part string) bool { return part == "dists" || part == "pool" })
	if i <= 0 {
		return ".", name
	}
	return strings.Join(parts[:i], "/"), strings.Join(parts[i:], "/")
}

// revisionAt returns the revision that was current at a time, nil if it is not
// known.
func (p *Publication) revisionAt(at time.Time) *Revision {
	for i := range slices.Backward(p.Revisions) {
		if !p.Revisions[i].Date.After(at) {
			return &p.Revisions[i]
		}
	}
	return nil
}

// asOf returns the key of the object of a file of a revision, "" if it has none.
// name is the path of the file below the prefix.
func (s *Store) asOf(ctx context.Context, p *Publication, rev *Revision, name string) (string, error) {
	file, isIndex := strings.CutPrefix(name, "dists/")
	if !isIndex && !strings.HasPrefix(name, "pool/") {
		return "", nil
	}
	inTree := func(name string) bool { return strings.HasPrefix(file, name+"/") }
	if isIndex && !slices.ContainsFunc(append(slices.Clone(rev.Aliases), p.Distribution), inTree) {
		return "", nil
	}
	m, err := s.manifest(ctx, rev.Manifest)
	if err != nil {
		return "", err
	}
	if isIndex {
		return m.Index(p.Dist(), file), nil
	}
	return m.Package(ctx, s.files(), p.Dist(), name)
}
