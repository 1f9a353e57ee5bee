package publish

import (
	"context"
	"iter"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
)

// Indexes are rendered ahead while no task runs. Example: an import adds 10,000 packages to
// a repository. The indexes of its list are rendered below paths.Ahead. The first
// publication of the list, or of a snapshot of it, is lent them and only links.
//
// They are a cache without rows. No reader sees them, and a publication verifies their
// bytes. A crash leaves a folder without a manifest, which lends nothing. The next rendering
// of the repository removes the folder before it, and the collector removes folders whose
// lists no row names.

// aheadFrom is how many packages must be new. The indexes of fewer are made in a tenth of a
// second.
const aheadFrom = 1000

// RenderAhead renders the indexes of repositories that have many packages that are in no
// publication. The end of ctx ends it within the time for one piece of an index.
func (s *Store) RenderAhead(ctx context.Context, repos []source.Source) error {
	if err := s.readAhead(ctx); err != nil {
		return err
	}
	var published []Publication
	for _, src := range repos {
		if src.List.Count < aheadFrom || src.List.Root == (lists.Digest{}) || s.ahead.has(src.List.Digest) {
			continue
		}
		if published == nil {
			var err error
			if published, err = s.scan(ctx, ""); err != nil {
				return err
			}
			published = append(published, Publication{}) // not nil
		}
		settings, needed, err := s.aheadSettings(ctx, src, published)
		if err == nil && needed {
			err = s.renderAhead(ctx, src, settings)
		}
		if err != nil {
			return err
		}
		s.ahead.pass(src.List.Digest)
	}
	return nil
}

// aheadSettings returns the settings of the next publication of a repository: those of a
// publication that it has, or the defaults. needed is false if most packages are published
// already.
func (s *Store) aheadSettings(ctx context.Context, src source.Source, published []Publication) (p Publication, needed bool, err error) {
	list, err := s.Lists.Open(ctx, src.List)
	if err != nil {
		return p, false, err
	}
	component, _ := guessComponent(src, true)
	p.Settings = Settings{Name: Name{Prefix: ".", Distribution: "ahead"}, SkipBz2: s.SkipBz2, Architectures: architectures(map[string]*pkglist.List{component: list})}
	for i := range published {
		other := &published[i]
		for _, c := range other.components() {
			had := other.Components[c]
			if had.List.Digest == src.List.Digest {
				return p, false, nil
			}
			if other.Kind.of() != source.Repo || had.UUID != src.UUID {
				continue
			}
			fresh, err := s.fresh(ctx, had.List, list)
			if err != nil || fresh < aheadFrom {
				return p, false, err
			}
			p.Settings, component = other.Settings, c
		}
	}
	p.ByHash, p.Components = false, map[string]Component{component: {UUID: src.UUID, List: src.List}}
	return p, len(p.Architectures) > 0 && len(p.Architectures) <= maxArchitectures, nil
}

// fresh returns how many packages are in chunks that an earlier list lacks.
func (s *Store) fresh(ctx context.Context, had lists.Ref, list *pkglist.List) (n int, err error) {
	old, err := s.Lists.Open(ctx, had)
	if err != nil {
		return 0, err
	}
	known := map[lists.Digest]bool{}
	for _, c := range old.Chunks() {
		known[c.Digest] = true
	}
	for _, c := range list.Chunks() {
		if !known[c.Digest] {
			n += c.Count
		}
	}
	return n, nil
}

// renderAhead renders the indexes of a repository. The manifest comes last.
func (s *Store) renderAhead(ctx context.Context, src source.Source, p Publication) error {
	ctx = driver.Lazily(ctx) // a publication verifies the bytes
	folder := paths.Ahead(src.List)
	st := s.stager(&p, folder)
	st.Root, st.Lenders = folder+"/tree", s.aheadLenders(ctx, nil, true)
	m := &tree.Manifest{Folder: folder, Set: index.Set{Lists: p.published()}}
	for c := range p.Components {
		list, err := s.Lists.Open(ctx, src.List)
		if err == nil {
			m.Indexes, err = st.Ahead(ctx, c, list)
		}
		if err != nil {
			return err
		}
	}
	if err := m.Save(ctx, st); err != nil {
		return err
	}
	for _, former := range s.ahead.add(rendered{folder, src.List.Digest, src.UUID}) {
		if err := s.removeAhead(ctx, former); err != nil {
			return err
		}
	}
	return nil
}

// removeAhead removes a folder.
func (s *Store) removeAhead(ctx context.Context, folder string) error {
	keys := []string{tree.Key(folder)}
	for info, err := range s.Blobs.List(ctx, folder+"/", "") {
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
	}
	return s.Blobs.Delete(ctx, keys...)
}

// readAhead reads once which folders of earlier processes are complete. It removes the
// others, and those beyond maxFolders.
func (s *Store) readAhead(ctx context.Context) error {
	if s.ahead.wasRead() {
		return nil
	}
	var folders []string
	for info, err := range s.Blobs.List(ctx, paths.AheadPrefix, "") {
		if err != nil {
			return err
		}
		if _, epoch, folder := paths.AheadOf(info.Key); epoch >= 0 && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	var ready []rendered
	for _, folder := range folders {
		m, err := tree.Read(ctx, s.Blobs, tree.Key(folder))
		if err == nil && len(ready) < maxFolders {
			for _, p := range m.Lists {
				ready = append(ready, rendered{folder: folder, list: p.List.Digest})
			}
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.removeAhead(ctx, folder); err != nil {
			return err
		}
	}
	s.ahead.wereRead(ready)
	return nil
}

// AheadArea is the part of the storage that has the indexes that were rendered ahead. The
// collector removes the folders of lists that no row names.
func (s *Store) AheadArea() gc.Area {
	return gc.Area{Name: "indexes rendered ahead", Items: func(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
		return func(yield func(gc.Item, error) bool) {
			for info, err := range s.Blobs.List(ctx, paths.AheadPrefix, after) {
				root, epoch, _ := paths.AheadOf(info.Key)
				if err == nil && epoch < 0 {
					sweep.Foreign(info.Key)
				}
				live := epoch < 0 || epoch >= sweep.Epoch()
				if !yield(gc.Item{At: info.Key, Name: root, Object: info.Key, Size: info.Size, Live: live}, err) || err != nil {
					return
				}
			}
		}
	}}
}
