package publish_test

import (
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// rig is a process that publishes, in the world of an Env.
type rig struct {
	env        *drivertest.Env
	ctx        context.Context
	publish    *publish.Store
	tasks      *task.Store
	dispatcher *task.Dispatcher
}

// frame signs by writing a line around the text.
type frame struct{}

func (frame) Clearsign(_ context.Context, w io.Writer, text []byte, at time.Time) error {
	_, err := fmt.Fprintf(w, "signed at %d\n%s", at.Unix(), text)
	return err
}

func (frame) DetachSign(_ context.Context, w io.Writer, data []byte, at time.Time) error {
	_, err := fmt.Fprintf(w, "signature of %s at %d\n", hashed("", string(data)).SHA256, at.Unix())
	return err
}

func (frame) PublicKeys() []*pgp.Key { return nil }

// shelf is a Finder of sources of a kind whose lists are rows: "shelf" / <name>.
// A name that begins with "snap" is that of a snapshot.
type shelf struct {
	table driver.Table
	kind  sourcepkg.Kind
}

func shelves(table driver.Table) sourcepkg.Finders {
	return sourcepkg.Finders{sourcepkg.Repo: shelf{table, sourcepkg.Repo}, sourcepkg.Snapshot: shelf{table, sourcepkg.Snapshot}}
}

func shelfKey(name string) driver.Key { return driver.Key{Part: "shelf", Sort: name} }

func (s shelf) SourceByName(ctx context.Context, name string) (sourcepkg.Source, error) {
	var src sourcepkg.Source
	if strings.HasPrefix(name, "snap") != (s.kind == sourcepkg.Snapshot) {
		return src, fmt.Errorf("%s %s: %w", s.kind, name, driver.ErrNotFound)
	}
	row, err := s.table.Get(ctx, shelfKey(name))
	if err != nil {
		return src, err
	}
	return src, json.Unmarshal(row.Data, &src)
}

func (s shelf) SourceByUUID(ctx context.Context, get sourcepkg.Getter, uuid, _ string) (sourcepkg.Source, error) {
	var src sourcepkg.Source
	return src, get(ctx, shelfKey(strings.TrimPrefix(uuid, "uuid-")), &src)
}

func poolKey(sha256 string) string { return "private/pool/" + sha256 }

func newRig(ctx context.Context, env *drivertest.Env) *rig {
	r := &rig{env: env, ctx: ctx}
	r.publish = &publish.Store{
		Table: env.Table, Blobs: env.Blobs, Sources: shelves(env.Table), Signer: frame{}, PoolKey: poolKey, Now: env.Clock.Now, Digests: deb.AllDigests,
		Lists: pkglist.Store{Chunks: &lists.Store{Blobs: env.Blobs, Epoch: func() int64 { return 0 }}},
		Sleep: func(_ context.Context, d time.Duration) error {
			env.Clock.Advance(d)
			return nil
		},
		Paths: func(_ context.Context, key string) (index.Paths, error) {
			return archived{"usr/bin/common", "usr/share/" + strings.Fields(key)[1]}, nil
		},
	}
	r.tasks = &task.Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	r.dispatcher, _ = task.NewDispatcher(r.tasks, append(r.publish.Kinds(), task.Define("test.repair", r.repairAll)))
	return r
}

// archived are the paths of a package.
type archived []string

func (p archived) Use(_ context.Context, f func([]byte) error) (string, error) {
	for _, path := range p {
		if err := f([]byte(path)); err != nil {
			return "", err
		}
	}
	return "", nil
}

// repairAll is a task that repairs all publications.
func (r *rig) repairAll(ctx context.Context, a *task.Attempt, args publish.RepairArgs) (task.Result, error) {
	var at json.RawMessage
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	report, err := r.publish.RepairAll(ctx, a, args.DryRun, at, func(ctx context.Context, cursor any) error { return a.Checkpoint(ctx, cursor) })
	return task.Result{Value: report}, err
}

// admitDue admits the tasks that are due, and returns how many they are.
func (r *rig) admitDue() (int, error) {
	before := r.lastTask()
	err := cmp.Or(r.publish.TakeOver(r.ctx), r.tasks.Due(r.ctx, map[string]task.Planner{publish.ExpiryKind: r.publish.PlanRefresh, publish.RecheckKind: r.publish.PlanRecheck}))
	return int(r.lastTask() - before), err
}

// lastTask is the highest number of a task.
func (r *rig) lastTask() (last int64) {
	for key := range r.env.Memory.Rows("task") {
		if id, err := strconv.ParseInt(strings.TrimPrefix(key, "task/"), 10, 64); err == nil {
			last = max(last, id)
		}
	}
	return last
}

// due are the entries of the calendar that are of publications.
func due(env *drivertest.Env) map[string]string {
	entries := env.Memory.Rows("calendar")
	delete(entries, "calendar/tasks/retention")
	return entries
}

// tick runs the tasks that are due, and returns their number.
func (r *rig) tick() (int, error) {
	n, err := r.admitDue()
	return n, cmp.Or(err, r.env.Drain(r.ctx, r.dispatcher.Handle))
}

func hashed(name, content string) deb.File {
	h := deb.NewHasher()
	io.WriteString(h, content)
	return h.File(name)
}

// pack is a package whose file has the content given. The architecture
// "udeb arm64" makes a udeb, "installer arm64" an installer. The content of a
// source package may be those of its .dsc and of a tarball, with a plus between.
type pack struct{ name, version, arch, content string }

func (p pack) build() *deb.Package {
	if arch, ok := strings.CutPrefix(p.arch, "installer "); ok {
		return &deb.Package{Kind: deb.Installer, Name: "installer", Architecture: arch, Files: []deb.File{hashed(p.name, p.content)}}
	}
	kind, arch, suffix := deb.Binary, p.arch, ".deb"
	switch base, udeb := strings.CutPrefix(p.arch, "udeb "); {
	case udeb:
		kind, arch, suffix = deb.Udeb, base, ".udeb"
	case p.arch == deb.SourceArch:
		kind, suffix = deb.Source, ".dsc"
	}
	pkg := &deb.Package{Kind: kind, Name: p.name, Version: p.version, Architecture: arch,
		Extra: map[string]string{"Description": " " + p.name + "\n"},
		Files: []deb.File{hashed(p.name+"_"+p.version+"_"+arch+suffix, p.content)}}
	if dsc, tarball, both := strings.Cut(p.content, "+"); kind == deb.Source {
		pkg.SourceArchitecture = "any"
		if both {
			pkg.Files = []deb.File{hashed(pkg.Files[0].Name, dsc), hashed(p.name+"_"+p.version+".tar.xz", tarball)}
		}
	}
	return pkg
}

// put makes a source hold these packages and no others.
func (r *rig) put(name string, packs ...pack) error {
	list, err := r.publish.Lists.Open(r.ctx, pkglist.Ref{})
	if err != nil {
		return err
	}
	edit := list.Edit()
	for _, p := range packs {
		built := p.build()
		contents := []string{p.content}
		if len(built.Files) > 1 {
			contents = strings.Split(p.content, "+")
		}
		for i, f := range built.Files {
			if _, err := r.env.Blobs.Put(r.ctx, poolKey(f.SHA256), strings.NewReader(contents[i]), driver.PutOptions{}); err != nil {
				return err
			}
		}
		if err := edit.Add(built); err != nil {
			return err
		}
	}
	if list, err = edit.Apply(r.ctx, nil); err != nil {
		return err
	}
	data, err := json.Marshal(sourcepkg.Source{UUID: "uuid-" + name, Name: name, Title: sourcepkg.Title(name, ""), List: list.Ref()})
	if err != nil {
		return err
	}
	return r.env.Table.Put(r.ctx, driver.Row{Key: shelfKey(name), Data: data})
}

// run admits a task and delivers messages until there are none.
func (r *rig) run(spec task.Spec, err error) error {
	if err != nil {
		return err
	}
	t, err := r.tasks.Admit(r.ctx, spec, false)
	if err != nil {
		return err
	}
	return cmp.Or(r.env.Drain(r.ctx, r.dispatcher.Handle), r.ended(t.ID))
}

// ended returns the error of a task, unless it has succeeded.
func (r *rig) ended(id int64) error {
	t, err := r.tasks.Get(r.ctx, id)
	if err == nil && t.State != task.Succeeded {
		err = fmt.Errorf("task %d is in state %d: %s", id, t.State, t.Error)
	}
	return err
}

// owes returns an error unless the last task has succeeded with a warning that
// has a reason. The task must have left a debt with that reason, of a
// distribution of the root prefix.
func (r *rig) owes(dist, reason string) error {
	last, err := r.tasks.Get(r.ctx, r.lastTask())
	if err != nil {
		return err
	}
	if last.State != task.Succeeded || !strings.Contains(strings.Join(last.Warnings, "\n"), reason) {
		return fmt.Errorf("task %d is in state %d with warnings %q", last.ID, last.State, last.Warnings)
	}
	e, err := calendar.Get(r.ctx, r.env.Table, "publish/:./"+dist)
	if last.Kind == "publish.remove" {
		e, err = calendar.Get(r.ctx, r.env.Table, "remove/:./"+dist)
	}
	if err == nil && !strings.Contains(e.Reason, reason) {
		err = fmt.Errorf("the debt of %s has the reason %q", dist, e.Reason)
	}
	return err
}

// must fails the test on the first error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// digests are the fields of a Release that list files, and their directories
// below by-hash.
var digests = map[string]func(deb.File) string{
	"MD5Sum": func(f deb.File) string { return f.MD5 }, "SHA1": func(f deb.File) string { return f.SHA1 },
	"SHA256": func(f deb.File) string { return f.SHA256 }, "SHA512": func(f deb.File) string { return f.SHA512 },
}

// tree is a published distribution as a strict client reads it.
type tree struct {
	objects map[string]string
	root    string          // key prefix of the publication's prefix
	dists   string          // of the distribution
	seen    map[string]bool // keys that have been read
	stanzas map[string][]string
	pool    map[string]string // objects of the pool of all packages
}

// read reads all that Release names, under every name and digest.
func (tr *tree) read(byHash, signed bool) error {
	release := tr.objects[tr.dists+"Release"]
	tr.seen[tr.dists+"Release"] = true
	if signed {
		_, inner, _ := strings.Cut(tr.objects[tr.dists+"InRelease"], "\n")
		detached, _, _ := strings.Cut(tr.objects[tr.dists+"Release.gpg"], " at ")
		if inner != release || detached != "signature of "+hashed("", release).SHA256 {
			return fmt.Errorf("%s is signed as another text", tr.dists)
		}
		tr.seen[tr.dists+"InRelease"], tr.seen[tr.dists+"Release.gpg"] = true, true
	}
	for field, of := range digests {
		_, rest, found := strings.Cut(release, "\n"+field+":\n")
		if !found {
			return fmt.Errorf("Release of %s: %q", tr.dists, release)
		}
		for line := range strings.Lines(rest) {
			if !strings.HasPrefix(line, " ") {
				break
			}
			var sum, name string
			var size int
			if _, err := fmt.Sscan(line, &sum, &size, &name); err != nil {
				return fmt.Errorf("line %q: %w", line, err)
			}
			if base := path.Base(name); strings.HasPrefix(base, "Contents-") && !strings.HasSuffix(base, ".gz") {
				// Only the compressed file is there. Release has the digest of its
				// plain content.
				zip, err := gzip.NewReader(strings.NewReader(tr.objects[tr.dists+name+".gz"]))
				if err != nil {
					return fmt.Errorf("%s.gz: %w", name, err)
				}
				if data, err := io.ReadAll(zip); err != nil || of(hashed("", string(data))) != sum {
					return fmt.Errorf("%s.gz has another digest than Release says, %v", name, err)
				}
				continue
			}
			keys := []string{tr.dists + name}
			if byHash {
				keys = append(keys, path.Join(tr.dists, path.Dir(name), "by-hash", field, sum))
			}
			for _, key := range keys {
				data, ok := tr.objects[key]
				if !ok || len(data) != size || of(hashed("", data)) != sum {
					return fmt.Errorf("%s is not as Release says", key)
				}
				tr.seen[key] = true
			}
			if plain, ok := strings.CutSuffix(name, ".bz2"); ok && field == "SHA256" {
				data, err := io.ReadAll(bzip2.NewReader(strings.NewReader(tr.objects[tr.dists+name])))
				if err != nil || string(data) != tr.objects[tr.dists+plain] {
					return fmt.Errorf("%s does not hold %s, %v", name, plain, err)
				}
			}
			if field == "SHA256" {
				if err := tr.index(name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// index reads the files that an index names.
func (tr *tree) index(name string) error {
	base := path.Base(name)
	if base == "SHA256SUMS" {
		return tr.installer(name)
	}
	if base != "Packages" && base != "Sources" {
		return nil
	}
	tr.stanzas[name] = []string{}
	for stanza := range strings.SplitSeq(tr.objects[tr.dists+name], "\n\n") {
		p, err := deb.ParseParagraph(stanza, deb.ModeControl)
		if err != nil {
			return err
		}
		if p.Get("Package") == "" {
			continue
		}
		tr.stanzas[name] = append(tr.stanzas[name], p.Get("Package")+"="+p.Get("Version"))
		files := map[string]string{p.Get("Filename"): p.Get("SHA256")}
		if base == "Sources" {
			clear(files)
			for line := range strings.Lines(strings.TrimSpace(p.Get("Checksums-Sha256"))) {
				var sum, file string
				var size int
				if _, err := fmt.Sscan(line, &sum, &size, &file); err != nil {
					return fmt.Errorf("stanza %q: %w", stanza, err)
				}
				files[p.Get("Directory")+"/"+file] = sum
			}
		}
		for file, sum := range files {
			if hashed("", tr.file(file)).SHA256 != sum {
				return fmt.Errorf("%s is not as %s says", file, name)
			}
		}
	}
	return nil
}

// file returns the bytes that clients get of a package file.
func (tr *tree) file(name string) string {
	if sha256, ok := paths.Digest(name); ok {
		return tr.pool[poolKey(sha256)]
	}
	tr.seen[tr.root+name] = true
	return tr.objects[tr.root+name]
}

// installer reads the files of an installer, and the signature of their list.
func (tr *tree) installer(name string) error {
	list := tr.objects[tr.dists+name]
	for line := range strings.Lines(list) {
		sum, file, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		key := path.Join(tr.dists, path.Dir(name), file)
		if hashed("", tr.objects[key]).SHA256 != sum {
			return fmt.Errorf("%s is not as %s says", key, name)
		}
		tr.seen[key] = true
	}
	signature, _, _ := strings.Cut(tr.objects[tr.dists+name+".gpg"], " at ")
	if signature != "signature of "+hashed("", list).SHA256 {
		return fmt.Errorf("%s is signed as another text", name)
	}
	tr.seen[tr.dists+name+".gpg"] = true
	return nil
}

// entered checks that the inventories have the package files of the tree, each with its
// digest, and nothing else.
func entered(env *drivertest.Env, objects map[string]string) error {
	store := lists.Store{Blobs: env.Memory.Blobs}
	files := map[string]string{}
	for key, data := range env.Memory.Rows("inventory") {
		var row struct {
			List   lists.Ref
			Recent map[string]string
		}
		if err := json.Unmarshal([]byte(data), &row); err != nil {
			return err
		}
		list, err := store.Open(context.Background(), row.List)
		if err != nil {
			return err
		}
		area, _, _ := strings.Cut(strings.TrimPrefix(key, "inventory/"), "/pool")
		_, prefix, _ := strings.Cut(area, ":")
		if strings.Contains(data, `"Forced"`) || strings.Contains(data, `"Moving"`) {
			return fmt.Errorf("%s: %s", key, data)
		}
		for r, err := range list.All(context.Background()) {
			if err != nil {
				return err
			}
			files[path.Join("public", prefix, string(r.Key))] = fmt.Sprintf("%x", r.Val)
		}
		for name, sum := range row.Recent {
			key := path.Join("public", prefix, name)
			if files[key] = sum; sum == "" {
				delete(files, key)
			}
		}
	}
	for key, data := range objects {
		if !strings.Contains(strings.TrimPrefix(key, "public"), "/pool/") {
			continue
		}
		if files[key] != hashed("", data).SHA256 {
			return fmt.Errorf("%s is %q in the inventory", key, files[key])
		}
		delete(files, key)
	}
	if len(files) > 0 || len(env.Memory.Rows("pool/")) > 0 {
		return fmt.Errorf("the inventory has %v and old rows %v", files, env.Memory.Rows("pool/"))
	}
	return nil
}

// trees checks everything that is public. It returns the packages of each
// index, by "<dist>/<index>". No file may be there that no client can come to
// know of, but for the by-hash objects of former publications.
func trees(env *drivertest.Env) (map[string][]string, error) {
	objects := env.Memory.Objects("public/")
	seen, found := map[string]bool{}, map[string][]string{}
	for name, data := range env.Memory.Rows("publish") {
		var r publish.Publication
		if err := json.Unmarshal([]byte(data), &r); err != nil {
			return nil, err
		}
		if !r.Applied || r.Dropping || r.Old != "" {
			return nil, fmt.Errorf("%s is not settled: %s", name, data)
		}
		root := path.Join("public", r.Prefix) + "/"
		for _, name := range append(r.Aliases, r.Distribution) {
			tr := &tree{objects: objects, root: root, dists: root + "dists/" + name + "/", seen: seen, stanzas: map[string][]string{}, pool: env.Memory.Objects("private/pool/")}
			_, signed := objects[tr.dists+"InRelease"]
			if err := tr.read(r.ByHash, signed); err != nil {
				return nil, err
			}
			for index, stanzas := range tr.stanzas {
				found[name+"/"+index] = stanzas
			}
		}
	}
	for key := range objects {
		if !seen[key] && !strings.Contains(key, "/by-hash/") {
			return nil, fmt.Errorf("%s is left", key)
		}
	}
	if err := entered(env, objects); err != nil {
		return nil, err
	}
	if rows := env.Memory.Rows("lock"); len(rows) > 0 {
		return nil, fmt.Errorf("locks are left: %v", rows)
	}
	return found, nil
}

// has checks everything public, and the packages of some indexes.
func has(t *testing.T, env *drivertest.Env, want map[string]string) {
	t.Helper()
	found, err := trees(env)
	must(t, err)
	for index, packages := range want {
		if got, ok := found[index]; !ok || strings.Join(got, " ") != packages {
			t.Errorf("%s has %q, want %q", index, got, packages)
		}
	}
}
