package publish

import (
	"context"
	"path"
	"slices"

	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
)

// maxAliases bounds the other names of a publication: each costs a copy of what
// changes in its indexes, and signatures of its own.
const maxAliases = 8

// tree is the key prefix of the distribution under one of its names.
func (r *Record) tree(name string) string { return path.Join(r.root(), "dists", name) }

// names returns all names of distributions that are the publication's: also of
// trees that are being removed.
func (r *Record) names() []string {
	return slices.Concat([]string{r.Distribution}, r.Aliases, r.Leaving)
}

// trees returns the names under which the manifest has a tree, that of the
// distribution first.
func (m *manifest) trees(r *Record) []string {
	return append([]string{r.Distribution}, m.Aliases...)
}

// in returns those of the files that are in the tree of a name: no alias has
// installers, whose files are copied below the distribution only.
func (r *Record) in(tree string, files []file) []file {
	if tree == r.Distribution {
		return files
	}
	return slices.DeleteFunc(files, func(f file) bool { return ofInstaller(f.Path) })
}

// releaseFolder is the private folder with the Release of a tree and its signatures.
func (m *manifest) releaseFolder(r *Record, tree string) string {
	if tree == r.Distribution {
		return m.Folder
	}
	return m.Folder + "/aliases/" + tree
}

// aliases stages for each alias the files that it has by hash, as copies of
// those of the distribution. What the last publication had is there.
func (st *stager) aliases(ctx context.Context, m, prev *manifest) error {
	m.Aliases = slices.Clone(st.record.Aliases)
	if !st.record.ByHash {
		return nil
	}
	had := map[file]bool{}
	for _, f := range prev.files() {
		had[f] = prev.ByHash
	}
	copies := parallel.NewGroup(ctx, maxLinks)
	for _, alias := range m.Aliases {
		old := slices.Contains(prev.Aliases, alias)
		for _, f := range st.record.in(alias, m.files()) {
			if old && had[f] {
				continue
			}
			copies.Go(func(ctx context.Context) error {
				return st.copyByHash(ctx, byHashKeys(st.record, f.Path, f.object)[0], f.Size, byHashBelow(st.record.tree(alias), f.Path, f.object))
			})
		}
	}
	return copies.Wait()
}

// releases are the keys of what makes apt see a tree, in the order in which they
// are removed.
func (r *Record) releases(tree string) []string {
	dir := r.tree(tree)
	return []string{dir + "/InRelease", dir + "/Release.gpg", dir + "/Release"}
}

// leave notes the aliases that the new manifest has not and the tree may have:
// their names are not free until it is settled.
func (r *Record) leave(m, old *manifest) {
	r.Leaving = without(slices.Compact(slices.Sorted(slices.Values(slices.Concat(old.Aliases, r.Leaving)))), m.Aliases)
}

// without returns those of the names that are not among others.
func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}

// checkAliases refuses what cannot be the other names of a distribution.
func (o Options) checkAliases(distribution, verb string) error {
	if o.Aliases == nil {
		return nil
	}
	if len(*o.Aliases) > maxAliases {
		return task.Fail(400, "%s: %d aliases, at most %d are possible", verb, len(*o.Aliases), maxAliases)
	}
	for i, name := range *o.Aliases {
		if checkPath(name) != nil {
			return task.Fail(400, "%s: invalid alias %.200s", verb, name)
		}
		if name == distribution || slices.Contains((*o.Aliases)[:i], name) {
			return task.Fail(400, "%s: duplicate alias %s", verb, name)
		}
	}
	return nil
}
