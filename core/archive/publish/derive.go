package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// derive settles what the request left open, and refuses what cannot be
// published. Identity does not change while the task waits: it is what is locked.
func (s *Store) derive(args *Args, found []sourcepkg.Source) error {
	if err := s.checkStorage(args.Storage); err != nil {
		return err
	}
	prefix := strings.Trim(path.Clean(args.Prefix), "/")
	if prefix != "." && (len(prefix) > maxPrefix || driver.CheckKey(prefix) != nil) {
		return task.Fail(500, "unable to publish: invalid prefix %.200s", prefix)
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if part == ".." || part == "dists" || part == "pool" {
			return task.Fail(500, "unable to publish: invalid prefix %s", prefix)
		}
	}
	args.Prefix = prefix
	seen := map[string]bool{}
	for i := range args.Sources {
		c := &args.Sources[i].Component
		if *c == "" {
			var ok bool
			if *c, ok = component(found[i], len(found) == 1); !ok {
				return task.Fail(500, "unable to publish: unable to figure out component name for %s", found[i])
			}
		}
		if err := checkPath(*c); err != nil {
			return task.Fail(500, "unable to publish: invalid component name %s", *c)
		}
		if seen[*c] {
			return task.Fail(500, "unable to publish: duplicate component name: %s", *c)
		}
		seen[*c] = true
	}
	if args.Distribution == "" {
		var all []string
		for _, src := range found {
			all = append(all, src.Distributions...)
		}
		args.Distribution, _ = only(all)
	}
	if args.Distribution == "" {
		return task.Fail(500, "unable to publish: unable to guess distribution name, please specify explicitly")
	}
	if checkPath(args.Distribution) != nil {
		return task.Fail(400, "unable to publish: invalid distribution name %s", args.Distribution)
	}
	for _, a := range args.Architectures {
		if checkPath(a) != nil || strings.Contains(a, "/") {
			return task.Fail(500, "unable to publish: invalid architecture %s", a)
		}
	}
	slices.Sort(args.Architectures)
	args.Architectures = slices.Compact(args.Architectures)
	return nil
}

// storageTypes are the types of storages that clients may name, as messages
// call them.
var storageTypes = map[string]string{"filesystem": "local", "s3": "S3", "gcs": "GCS", "swift": "Swift", "azure": "Azure", "jfrog": "JFrog"}

// checkStorage refuses a storage that there is not.
func (s *Store) checkStorage(storage string) error {
	if storage == "" || slices.Contains(s.Storages, storage) {
		return nil
	}
	kind, name, _ := strings.Cut(storage, ":")
	if storageTypes[kind] == "" || name == "" {
		return task.Fail(500, "unable to publish: unknown published storage format: %s", storage)
	}
	return task.Fail(500, "unable to publish: published %s storage %s not configured", storageTypes[kind], name)
}

// Bounds of what paths are made of, in bytes: keys of rows and objects have
// room for all of it.
const (
	maxPrefix = 150
	maxName   = 200 // of a distribution, a component, an architecture
)

// maxComponents bounds the components of a publication: each may cost a row
// that is read, one that is written and one that is removed, in one transaction.
const maxComponents = 30

// checkPath refuses what is not one or more plain path components, or would
// break a line of a Release file.
func checkPath(p string) error {
	if len(p) > maxName || strings.ContainsAny(p, " \t") {
		return fmt.Errorf("%.200q is too long or has a blank: %w", p, driver.ErrInvalid)
	}
	return driver.CheckKey(p)
}

// fits refuses a publication one of whose names is that of another one, or whose
// indexes would be in the directories of those of another name, as those of the
// component main of the distribution a and those of the distribution a/main are.
// No two tasks that add a name or a component there run at the same time.
func (s *Store) fits(ctx context.Context, r *Record, verb string) error {
	for c := range r.Components {
		if outer, ok := strings.CutSuffix(c, "/debian-installer"); ok && r.Components[outer].UUID != "" {
			return task.Fail(500, "%s: component %s is in a directory of component %s", verb, c, outer)
		}
		if name := top(c); name == "Release" || name == "InRelease" || name == "Release.gpg" {
			return task.Fail(500, "%s: invalid component name %s", verb, c)
		}
	}
	for _, name := range r.names() {
		for _, other := range r.names() {
			if name != other && r.encloses(name, other) {
				return task.Fail(500, "%s: the directories of %s and %s are in each other", verb, r.pathOf(name), r.pathOf(other))
			}
		}
	}
	records, err := s.All(ctx)
	if err != nil {
		return err
	}
	for _, other := range records {
		if other.Storage != r.Storage || other.Prefix != r.Prefix || other.Distribution == r.Distribution {
			continue
		}
		for _, mine := range r.names() {
			for _, its := range other.names() {
				if mine == its {
					return task.Fail(400, "%s: %s is a name of %s", verb, r.pathOf(mine), other.path())
				}
				if r.encloses(mine, its) || other.encloses(its, mine) {
					return task.Fail(500, "%s: the directories of %s and %s are in each other", verb, r.pathOf(mine), r.pathOf(its))
				}
			}
		}
	}
	return nil
}

// encloses says whether a component of r under one of its names and a
// distribution of another name have directories that are in each other.
func (r *Record) encloses(name, other string) bool {
	inner, ok := strings.CutPrefix(other+"/", name+"/")
	if !ok {
		return false
	}
	if name := top(inner); name == "Release" || name == "InRelease" || name == "Release.gpg" || name == "by-hash" {
		return true
	}
	for c := range r.Components {
		if strings.HasPrefix(inner, c+"/") || strings.HasPrefix(c+"/", inner) {
			return true
		}
	}
	return false
}

// path is how clients name the publication.
func (r *Record) path() string { return r.pathOf(r.Distribution) }

func (r *Record) pathOf(name string) string { return shown(r.Storage, r.Prefix) + "/" + name }

// line is the text form of a publication in messages.
func (s *Store) line(ctx context.Context, r *Record) (string, error) {
	var parts, extras []string
	for _, c := range slices.Sorted(maps.Keys(r.Components)) {
		src, err := s.Sources.ByUUID(ctx, s.get, r.Kind.of(), r.Components[c].UUID, r.Components[c].Name)
		if errors.Is(err, driver.ErrNotFound) {
			src, err = sourcepkg.Source{Title: sourcepkg.Title(r.Components[c].Name, "")}, nil
		}
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("{%s: %s}", c, src))
	}
	for _, f := range [][2]string{{"origin", r.Origin}, {"notautomatic", r.NotAutomatic}, {"butautomaticupgrades", r.ButAutomaticUpgrades},
		{"label", r.Label}, {"suite", r.Suite}, {"codename", r.Codename}} {
		if f[1] != "" {
			extras = append(extras, f[0]+": "+f[1])
		}
	}
	extra := ""
	if extras != nil {
		extra = " (" + strings.Join(extras, ", ") + ")"
	}
	return fmt.Sprintf("%s/%s%s [%s] publishes %s", shown(r.Storage, r.Prefix), r.Distribution, extra,
		strings.Join(r.Architectures, ", "), strings.Join(parts, ", ")), nil
}
