package pool

import (
	"context"
	"encoding/hex"
	"errors"
	"iter"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/formats/deb"
)

// Names returns the pins of a package's record and files.
func Names(p *deb.Package) []string {
	names := make([]string, 0, 1+len(p.Files))
	names = append(names, PackagePin(p.Key()))
	for _, f := range p.Files {
		names = append(names, FilePin(f.SHA256))
	}
	return names
}

// Areas returns the pool's areas for the collector. Their order matters. Files come
// after records, because the record of a pinned package names the files to keep.
// Objects of large records come after records: an object is dead if no record
// names it, which is known only when dead records are removed.
func (s *Store) Areas() []gc.Area {
	return []gc.Area{
		{
			Name: "package records", Pinned: true, Items: s.recordItems, Needs: s.needs,
			Listing: "Loading list of all packages...", Deleting: "Deleting unreferenced packages (%d)...",
		},
		{Name: "large package records", Pinned: true, Items: s.objectItems, Needs: s.needs},
		{Name: "digests of files", Pinned: true, Items: s.digestItems},
		{
			Name: "package files", Pinned: true, Items: s.fileItems, Shown: true,
			Listing:  "Building list of files referenced by packages...Building list of files in package pool...",
			Deleting: "Deleting unreferenced files (%d)...",
		},
	}
}

// needs returns the pins of the files of a pinned package.
func (s *Store) needs(ctx context.Context, pin string) ([]string, error) {
	row, err := s.Table.Get(ctx, recordKey(strings.TrimPrefix(pin, PackagePin(""))))
	var p *deb.Package
	if err == nil {
		p, err = s.packageOf(ctx, row)
	}
	if errors.Is(err, driver.ErrNotFound) {
		return nil, nil // a task is about to store the record, and pins its files itself
	}
	if err != nil {
		return nil, err
	}
	return Names(p), nil
}

// rowItems yields the rows of all partitions of one kind, in order. pin makes the
// pin of a row from its Sort.
func (s *Store) rowItems(ctx context.Context, part func(uint32) string, pin func(string) string, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		for row, err := range s.rowsAfter(ctx, part, after) {
			if !yield(gc.Item{At: row.Key.String(), Name: pin(row.Sort), Row: row.Key, Version: row.Version}, err) {
				return
			}
		}
	}
}

// rowsAfter yields the rows of all partitions of one kind, partition by partition.
// after is the Key.String of the last row already seen.
func (s *Store) rowsAfter(ctx context.Context, part func(uint32) string, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for n := range uint32(partitions) {
			from := ""
			switch name, sort, _ := strings.Cut(after, "/"); {
			case part(n) < name:
				continue
			case part(n) == name:
				from = sort
			}
			for row, err := range s.Table.Scan(ctx, part(n), from) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

func (s *Store) recordItems(ctx context.Context, _ *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return s.rowItems(ctx, recordPart, PackagePin, after)
}

func (s *Store) digestItems(ctx context.Context, _ *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return s.rowItems(ctx, sumsPart, FilePin, after)
}

// fileItems yields the package files.
func (s *Store) fileItems(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		for info, err := range s.Blobs.List(ctx, FilePrefix, after) {
			item := gc.Item{At: info.Key, Object: info.Key, Size: info.Size}
			if err == nil {
				sha256, ok := fileDigest(info.Key)
				if item.Live = !ok; item.Live {
					sweep.Foreign(info.Key)
				}
				item.Name = FilePin(sha256)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// fileDigest returns the SHA-256 of the package file under key; false if the key is
// not that of a package file.
func fileDigest(key string) (string, bool) {
	sha256 := key[strings.LastIndexByte(key, '/')+1:]
	raw, err := hex.DecodeString(sha256)
	if err != nil || len(raw) != 32 || key != FileKey(sha256) {
		return "", false
	}
	return sha256, true
}

// objectItems yields the objects of large records. An object that no row names is
// dead: its task ended before it put the row, or the row was removed. The object
// itself names its package.
func (s *Store) objectItems(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		for info, err := range s.Blobs.List(ctx, recordPrefix, after) {
			item := gc.Item{At: info.Key, Object: info.Key}
			if err == nil {
				err = s.ofPackage(ctx, sweep, &item)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// ofPackage completes the item of a large record.
func (s *Store) ofPackage(ctx context.Context, sweep *gc.Sweep, item *gc.Item) error {
	key := strings.TrimPrefix(item.Object, recordPrefix)
	live, _, err := s.named(ctx, key, item.Object)
	if err != nil || live {
		item.Live = live
		return err
	}
	switch key, err = s.packageKey(ctx, item.Object); {
	case errors.Is(err, driver.ErrNotFound):
		item.Live = true // already deleted
		return nil
	case errors.Is(err, ErrRecord):
		sweep.Foreign(item.Object)
		item.Live = true
		return nil
	case err != nil:
		return err
	}
	// The package may be marked and have a row that names another object. Then only
	// a pin keeps this object: the pinning task may still put a row that names it.
	item.Name, item.Row = PackagePin(key), recordKey(key)
	item.Live, item.Version, err = s.named(ctx, key, item.Object)
	item.Dead = !item.Live
	return err
}

// named reports whether the row of a package names the object, and the row's version.
func (s *Store) named(ctx context.Context, key, object string) (bool, string, error) {
	row, err := s.Table.Get(ctx, recordKey(key))
	if errors.Is(err, driver.ErrNotFound) {
		return false, driver.Absent, nil
	}
	return err == nil && blobOf(row) == object, row.Version, err
}

// packageKey returns the key of the package whose record the object holds.
func (s *Store) packageKey(ctx context.Context, object string) (string, error) {
	p, err := s.packageOf(ctx, driver.Row{Data: append([]byte{formBlob}, object...)})
	if err != nil {
		return "", err
	}
	return p.Key(), nil
}
