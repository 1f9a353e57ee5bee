package aptly

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/archive/transfer"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
	"aptless/functions/move"
)

// Limits of a root.
const (
	maxLayers = 64       // packages with one name, version and architecture
	maxHeld   = 16 << 20 // bytes of packages that wait to be stored
	readers   = 4
)

// memoryGoal is the memory, in bytes, above which garbage is collected more often. Each
// list of a snapshot is read as a whole, and is garbage soon.
const memoryGoal = 160 << 20

// converter makes the objects of one root.
type converter struct {
	settings
	db       *database
	folder   *move.Folder
	names    map[string]map[string]string // of sources by kind and UUID
	objects  []listed
	keys     map[string]string // of packages by reference; "" for one that does not move
	layers   []*layer
	short    map[string]int // the number of packages with a short key
	made     map[[32]byte]lists.Ref
	files    int
	bytes    int64
	counted  map[string]bool
	previous []*pkglist.List
}

// layer is a list of packages, no two of which have one short key.
type layer struct {
	list *pkglist.List
	edit *pkglist.Edit
}

// Convert makes a transfer folder of a root. Package files of the folder are symbolic
// links to the root.
func Convert(ctx context.Context, opt Options, folder *move.Folder) (_ Report, err error) {
	root, err := filepath.Abs(opt.Root)
	if err != nil {
		return Report{}, err
	}
	opt.Root = root
	if before := debug.SetMemoryLimit(-1); before > memoryGoal {
		debug.SetMemoryLimit(memoryGoal)
		defer debug.SetMemoryLimit(before)
	}
	c := &converter{settings: settings{Options: opt}, folder: folder, keys: map[string]string{}, short: map[string]int{}, made: map[[32]byte]lists.Ref{}, counted: map[string]bool{},
		names: map[string]map[string]string{"local": {}, "repo": {}, "snapshot": {}}}
	if c.Say == nil {
		c.Say = func(string, int, int) {}
	}
	if err := c.config(); err != nil {
		return c.report, err
	}
	if err := folder.Begin(); err != nil {
		return c.report, err
	}
	defer folder.Leave()
	if c.db, err = openDatabase(root, folder.Temp); err != nil {
		return c.report, err
	}
	defer func() { err = errors.Join(err, c.db.close()) }()
	for _, step := range []func(context.Context) error{c.readObjects, c.readPackages, c.makeLists} {
		if err := step(ctx); err != nil {
			return c.report, err
		}
	}
	objects := make([]transfer.Object, 0, len(c.objects)+1)
	for _, o := range c.objects {
		objects = append(objects, o.Object)
	}
	ring, err := c.ring()
	if err != nil {
		return c.report, err
	}
	objects = append(objects, ring...)
	c.report.Manifest, err = folder.Finish(objects, c.files, c.bytes, c.Now)
	return c.report, err
}

// readObjects reads repositories, mirrors, snapshots and publications.
func (c *converter) readObjects(ctx context.Context) error {
	name := func(kind, uuid string) string { return c.names[kind][uuid] }
	for _, prefix := range []string{"L", "R", "S"} { // names first: a snapshot refers to others
		for e, err := range c.db.all(prefix) {
			if errors.Is(err, errDamaged) {
				break // named below, or by the lists
			}
			if err != nil {
				return err
			}
			if f, err := record(e.data); err == nil {
				c.names[map[string]string{"L": "local", "R": "repo", "S": "snapshot"}[prefix]][f.text("UUID")] = f.text("Name")
			}
		}
	}
	for _, kind := range []struct {
		prefix, noun string
		read         func([]byte) (listed, error)
	}{
		{"L", "repository", localRepo}, {"R", "mirror", remoteRepo},
		{"S", "snapshot", func(data []byte) (listed, error) { return snapshotOf(data, name) }},
		{"U", "publication", func(data []byte) (listed, error) { return publishedRepo(data, name) }},
	} {
		for e, err := range c.db.all(kind.prefix) {
			if errors.Is(err, errDamaged) {
				c.problem("each %s of the damaged part: %v", kind.noun, err)
				break
			}
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			o, err := kind.read(e.data)
			if err == nil && (o.Name() == "" || kind.prefix != "U" && !strings.HasSuffix(e.key, o.lists[""])) {
				err = fmt.Errorf("it has no name or another key: %w", errValue)
			}
			if err != nil {
				c.problem("%s %s: %v", kind.noun, e.key, err)
				continue
			}
			c.objects = append(c.objects, o)
			c.notesOf(o)
		}
	}
	return nil
}

// notesOf notes the parts of an object that do not move.
func (c *converter) notesOf(o listed) {
	if m := o.Mirror; m != nil && strings.Contains(m.ArchiveRoot, "@") {
		c.note("mirror %s has a user in its URL: give it to the mirror again", m.Name)
	}
	if p := o.Publication; p != nil && p.Storage != "" && c.report.Folders[p.Storage] == "" && c.Config == "" {
		c.note("publication %s is in %s: the server needs a --storage of that name", p.Dist(), p.Storage)
	}
}

// readPackages makes the layers of all packages that a list has.
func (c *converter) readPackages(ctx context.Context) error {
	needed := map[string]bool{}
	for _, o := range c.objects {
		for _, key := range o.lists {
			refs, err := c.db.refs(key)
			if err != nil {
				continue // makeLists names it
			}
			for _, ref := range refs {
				needed[ref] = true
			}
		}
	}
	order, done := slices.Sorted(maps.Keys(needed)), 0
	pipe := parallel.Pipe[string, converted]{Workers: readers,
		Work: func(ctx context.Context, _ *parallel.Lease, ref string) (converted, error) {
			return c.convert(ctx, ref)
		},
		Use: func(ctx context.Context, v converted) error {
			if done++; done%100 == 0 {
				c.Say("packages", done, len(order))
			}
			if v.problem != "" {
				c.problem("package %s: %s", v.ref, v.problem)
				c.keys[v.ref] = ""
				return nil
			}
			return c.keep(ctx, v)
		},
	}
	err := pipe.Run(ctx, func(yield func(string, error) bool) {
		for _, ref := range order {
			if !yield(ref, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	for _, l := range c.layers {
		if l.list, err = l.edit.Apply(ctx, nil); err != nil {
			return err
		}
	}
	c.Say("packages", len(order), len(order))
	return nil
}

// converted is a package and its files, or a problem.
type converted struct {
	ref     string
	p       *deb.Package
	paths   []string // of its files
	deep    bool     // their digests were compared, in this run or before
	problem string
}

// convert reads a package and compares its files. An error is that of the context.
func (c *converter) convert(ctx context.Context, ref string) (converted, error) {
	v := converted{ref: ref, deep: true}
	p, pool, err := c.db.packageOf(ref)
	if err != nil {
		v.problem = err.Error()
		return v, nil
	}
	same := true // the digests are those of the record
	for i := range pool {
		path, err := pool[i].find(c.Root)
		var f deb.File
		if err == nil {
			known := pool[i].SHA256 != "" && c.folder.Verified(pool[i].SHA256, path)
			v.deep = v.deep && (known || !c.Shallow)
			f, err = pool[i].check(ctx, path, !c.Shallow && !known)
		}
		if ctx.Err() != nil {
			return v, context.Cause(ctx)
		}
		if err != nil {
			v.problem = err.Error()
			return v, nil
		}
		same = same && f.SHA256 == pool[i].SHA256
		p.SetFile(f)
		v.paths = append(v.paths, path)
	}
	if key := p.Key(); same && strings.Count(ref, " ") == 3 && key != ref {
		v.problem = "its files are not those of its key: " + key
	}
	// Files are in the order of the package from here on.
	order := map[string]string{}
	for i := range pool {
		order[pool[i].Name] = v.paths[i]
	}
	v.paths = v.paths[:0]
	for _, f := range p.Files {
		v.paths = append(v.paths, order[f.Name])
	}
	v.p = p
	return v, nil
}

// keep adds a package to a layer, and links its files.
func (c *converter) keep(ctx context.Context, v converted) error {
	for i, f := range v.p.Files {
		if c.counted[f.SHA256] {
			continue
		}
		c.counted[f.SHA256] = true
		c.files, c.bytes = c.files+1, c.bytes+f.Size
		if err := c.folder.Link(f.SHA256, v.paths[i], c.Hard, v.deep); err != nil {
			return err
		}
	}
	at := c.short[v.p.ShortKey()]
	if at == maxLayers {
		c.problem("package %s: more than %d packages have its name, version and architecture", v.ref, maxLayers)
		c.keys[v.ref] = ""
		return nil
	}
	c.short[v.p.ShortKey()]++
	for len(c.layers) <= at {
		empty, err := c.folder.Lists.Open(ctx, pkglist.Ref{})
		if err != nil {
			return err
		}
		c.layers = append(c.layers, &layer{empty, empty.Edit()})
	}
	l := c.layers[at]
	if err := l.edit.Add(v.p); err != nil {
		c.problem("package %s: %v", v.ref, err)
		c.keys[v.ref] = ""
		return nil
	}
	if key := v.p.Key(); key != v.ref {
		c.keys[v.ref] = key
	}
	if l.edit.Size() < maxHeld {
		return nil
	}
	list, err := l.edit.Apply(ctx, nil)
	if err == nil {
		l.list, l.edit = list, list.Edit()
	}
	return err
}

// makeLists gives each object its lists.
func (c *converter) makeLists(ctx context.Context) error {
	kept := c.objects[:0]
	for i, o := range c.objects {
		err := c.listsOf(ctx, &o)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			c.problem("%s %s: its list: %v", o.Kind(), o.Name(), err)
			continue
		}
		kept = append(kept, o)
		c.Say("lists", i+1, len(c.objects))
	}
	c.objects = kept
	return nil
}

func (c *converter) listsOf(ctx context.Context, o *listed) error {
	if o.Publication != nil {
		for component, v := range o.Publication.Components {
			ref, err := c.list(ctx, o, o.lists[component])
			if err != nil {
				return err
			}
			o.Publication.Components[component] = publish.Component{UUID: v.UUID, Name: v.Name, List: ref}
		}
		return c.skeleton(o.Publication)
	}
	ref, err := c.list(ctx, o, o.lists[""])
	if err != nil {
		return err
	}
	return o.Lists(func(to *lists.Ref) error {
		*to = ref
		return nil
	})
}

// maxPrevious bounds the lists whose chunks are not written again.
const maxPrevious = 4

// list makes the list under a key of the database.
func (c *converter) list(ctx context.Context, o *listed, key string) (lists.Ref, error) {
	refs, err := c.db.refs(key)
	if err != nil || len(refs) == 0 {
		return lists.Ref{}, err
	}
	wanted, left := make(map[string]bool, len(refs)), 0
	hash := sha256.New()
	for _, ref := range refs {
		key, known := c.keys[ref]
		if !known {
			key = ref
		}
		if key == "" {
			left++
			continue
		}
		wanted[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		io.WriteString(hash, key+"\n")
	}
	sum := [32]byte(hash.Sum(nil))
	if left > 0 {
		c.problem("%s %s: %d of its %d packages do not move", o.Kind(), o.Name(), left, len(refs))
	}
	if ref, ok := c.made[sum]; ok {
		return ref, nil
	}
	all := make([]*pkglist.List, len(c.layers))
	for i, l := range c.layers {
		all[i] = l.list
	}
	list, err := c.folder.Lists.Choose(ctx, all, func(key string) bool { return wanted[key] }, slices.Concat(c.previous, all)...)
	if err != nil {
		return lists.Ref{}, err
	}
	if n := len(wanted) - list.Count(); n > 0 {
		c.problem("%s %s: %d packages have the name, version and architecture of others in it", o.Kind(), o.Name(), n)
	}
	c.previous = append(c.previous, list)
	c.previous = c.previous[max(0, len(c.previous)-maxPrevious):]
	c.made[sum] = list.Ref()
	return list.Ref(), nil
}
