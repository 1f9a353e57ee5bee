package fsck

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
)

// used is a chunk of a list, and the objects that have it.
type used struct {
	chunk  lists.Chunk
	owner  int    // number of the only object that has it in its present list, shared or unowned
	things bool   // its records are packages
	of     string // the first object that has it, for people
}

// plan are the objects of a storage, and the chunks of all their lists.
type plan struct {
	objects []Object
	chunks  map[string]used // by key of the object
	parts   [][]string      // the keys of the chunks of the present lists, by object
	files   []string        // SHA-256 of further package files
}

// lists checks the roots and chunks of all lists, each once.
func (k *check) lists(ctx context.Context) error {
	p, err := k.plan(ctx, k.at.After == "")
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(p.chunks)) {
		if key <= k.at.After {
			continue
		}
		if err := k.chunk(ctx, key, p.chunks[key]); err != nil {
			return err
		}
		if err := k.pause(ctx, key); err != nil {
			return err
		}
	}
	for _, sha256 := range p.files {
		if h := hashOf(sha256); k.state.Files[h] == (owned{}) {
			k.state.Files[h] = owned{Owner: shared}
		}
	}
	k.state.Objects = p.objects
	for i := range p.objects {
		for _, key := range p.parts[i] {
			k.state.Objects[i].Packages += k.state.Chunks[key].Packages
			k.state.Objects[i].Bytes += k.state.Chunks[key].Bytes
		}
	}
	for _, f := range k.state.Files {
		if f.Owner >= 0 {
			k.state.Objects[f.Owner].Own += f.Size
		}
	}
	k.state.Chunks = map[string]sum{}
	return nil
}

// plan opens all lists. With report it reports roots that are damaged.
func (k *check) plan(ctx context.Context, report bool) (*plan, error) {
	p := &plan{chunks: map[string]used{}}
	seen := map[lists.Ref]*lists.List{}
	for _, src := range k.Heads {
		for row, err := range k.Table.Scan(ctx, src.Part, "") {
			if err != nil {
				return nil, err
			}
			var h head
			if json.Unmarshal(row.Data, &h) != nil {
				continue // reported by the check of rows
			}
			roots, err := src.Roots(ctx, row.Data)
			if err != nil && !errors.Is(err, driver.ErrNotFound) { // a missing manifest is reported elsewhere
				if report {
					k.found(Finding{Kind: DamagedRow, Object: row.Key.String(), Of: title(src.Part, h), Detail: err.Error()})
				}
				continue
			}
			p.files = append(p.files, roots.Files...)
			present, err := presentLists(row.Data)
			if err != nil {
				return nil, err
			}
			object := len(p.objects)
			_, name, _ := strings.Cut(title(src.Part, h), " ")
			p.objects, p.parts = append(p.objects, Object{Kind: src.Part, Name: name, Storage: h.Storage, Prefix: h.Prefix, Dist: h.Distribution}), append(p.parts, nil)
			mine := map[lists.Ref]bool{} // revisions have equal lists
			for i, ref := range slices.Concat(roots.Packages, roots.Lists) {
				if mine[ref] {
					continue
				}
				mine[ref] = true
				list, ok := seen[ref]
				if !ok {
					if list, err = k.open(ctx, ref, report, title(src.Part, h)); err != nil {
						return nil, err
					}
					seen[ref] = list
				}
				if list != nil {
					p.add(list, object, slices.Contains(present, ref), i < len(roots.Packages), title(src.Part, h))
				}
			}
		}
	}
	return p, nil
}

// presentLists returns the lists that the row of an object names itself, and not by a
// revision.
func presentLists(data []byte) (refs []lists.Ref, err error) {
	var row struct {
		List       lists.Ref
		Components byComponent[struct{ List lists.Ref }]
	}
	if err := json.Unmarshal(data, &row); err != nil {
		return nil, err
	}
	refs = append(refs, row.List)
	for _, c := range row.Components {
		refs = append(refs, c.List)
	}
	return refs, nil
}

// open reads the root of a list. It returns nil for a damaged one.
func (k *check) open(ctx context.Context, ref lists.Ref, report bool, of string) (*lists.List, error) {
	list, err := k.Lists.Open(ctx, ref)
	if errors.Is(err, lists.ErrDamaged) {
		if report {
			k.found(Finding{Kind: DamagedList, Object: lists.ObjectKey(ref.Epoch, ref.Root), Of: of, Detail: err.Error()})
		}
		return nil, nil
	}
	if report {
		k.state.Report.Checked.Lists++
	}
	return list, err
}

// add adds the chunks of a list of an object.
func (p *plan) add(list *lists.List, object int, present, packages bool, of string) {
	for _, c := range list.Chunks() {
		key := lists.ObjectKey(c.Epoch, c.Digest)
		u, ok := p.chunks[key]
		if !ok {
			u = used{chunk: c, owner: unowned, of: of}
		}
		u.things = u.things || packages
		if present {
			switch u.owner {
			case unowned:
				u.owner = object
			case object:
			default:
				u.owner = shared
			}
			p.parts[object] = append(p.parts[object], key)
		}
		p.chunks[key] = u
	}
}

// chunk reads a chunk, which verifies its digest, and notes its packages.
func (k *check) chunk(ctx context.Context, key string, u used) error {
	k.state.Report.Checked.Chunks++
	records, err := k.Lists.ReadChunk(ctx, u.chunk)
	if errors.Is(err, lists.ErrDamaged) {
		k.found(Finding{Kind: DamagedList, Object: key, Of: u.of, Detail: err.Error()})
		return nil
	}
	if err != nil || !u.things {
		return err
	}
	var all sum
	for _, r := range records {
		p, err := pkglist.Decode(r)
		if err != nil {
			k.found(Finding{Kind: DamagedList, Object: key, Of: u.of, Detail: err.Error()})
			return nil
		}
		all.Packages++
		if h := hashOf(p.Key()); !k.state.Needed[h] {
			k.state.Needed[h] = false
		}
		for _, f := range p.Files {
			all.Bytes += f.Size
			h := hashOf(f.SHA256)
			was, ok := k.state.Files[h]
			owner := u.owner
			if ok && was.Owner != unowned && owner != unowned && was.Owner != owner {
				owner = shared
			} else if ok && owner == unowned {
				owner = was.Owner
			}
			k.state.Files[h] = owned{f.Size, owner}
		}
	}
	k.state.Chunks[key] = all
	return nil
}

// missingRecords names the packages of lists whose record was not found.
func (k *check) missingRecords(ctx context.Context) error {
	lacks := false
	for _, there := range k.state.Needed {
		lacks = lacks || !there
	}
	if !lacks {
		return nil
	}
	p, err := k.plan(ctx, false)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(p.chunks)) {
		u := p.chunks[key]
		if !u.things {
			continue
		}
		records, err := k.Lists.ReadChunk(ctx, u.chunk)
		if errors.Is(err, lists.ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		for _, r := range records {
			pkg, err := pkglist.Decode(r)
			if err != nil || k.state.Needed[hashOf(pkg.Key())] || told[pkg.Key()] {
				continue
			}
			told[pkg.Key()] = true
			_, err = k.Pool.Record(ctx, pkg.Key())
			if errors.Is(err, driver.ErrNotFound) {
				k.found(Finding{Kind: MissingRecord, Object: pkg.Key(), Of: u.of})
			} else if err != nil && !errors.Is(err, pool.ErrRecord) { // a damaged one is reported elsewhere
				return err
			}
		}
	}
	return nil
}

// usage returns the storage that objects take.
func (k *check) usage() Usage {
	u := Usage{At: k.Now().UTC(), Objects: []Object{}}
	for _, f := range k.state.Files {
		u.Bytes += f.Size
	}
	for _, o := range k.state.Objects {
		if o.Kind != "publish" && !slices.Contains(parts(), o.Kind) {
			continue // a row of the server, no object of a user
		}
		u.Objects = append(u.Objects, o)
	}
	slices.SortStableFunc(u.Objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return u
}
