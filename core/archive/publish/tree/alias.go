package tree

import (
	"context"
	"slices"

	"aptless/core/archive/publish/index"
	"aptless/core/engine/parallel"
)

// maxParallel is how many by-hash objects are copied at the same time.
const maxParallel = 16

// CopyAliases stages for each alias its by-hash files, as copies of the by-hash
// files of the distribution. The files of the last manifest are there already.
func CopyAliases(ctx context.Context, st *index.Stager, m, prev *Manifest) error {
	if !m.ByHash {
		return nil
	}
	had := map[index.File]bool{}
	for _, f := range prev.Files() {
		had[f] = prev.ByHash
	}
	type copied struct {
		index.File
		alias string
	}
	var fresh []copied
	for _, alias := range m.Aliases {
		old := slices.Contains(prev.Aliases, alias)
		for _, f := range m.FilesIn(st.Dist, alias) {
			if old && had[f] {
				continue
			}
			fresh = append(fresh, copied{f, alias})
			st.Expect(f.ByHash(st.Dist.Tree(alias))...)
		}
	}
	if err := st.List(ctx); err != nil {
		return err
	}
	copies := parallel.NewGroup(ctx, maxParallel)
	for _, c := range fresh {
		copies.Go(func(ctx context.Context) error {
			return st.CopyByHash(ctx, c.ByHash(st.Dist.Tree(st.Dist.Name))[0], c.Size, c.ByHash(st.Dist.Tree(c.alias)))
		})
	}
	return copies.Wait()
}
