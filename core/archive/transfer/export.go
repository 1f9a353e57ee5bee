package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"aptless/core/archive/keyring"
	"aptless/core/archive/mirror"
	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// ExportPart is the partition of exports. The collector keeps all that they name.
const ExportPart = "export"

// exportPrefix is the key prefix of the objects of exports.
const exportPrefix = "private/exports/"

// keepExport is how long an export stays that no client removes. The next export
// removes older ones.
const keepExport = 3 * 24 * time.Hour

// maxScans bounds the reads of all rows until two of them agree.
const maxScans = 20

// Export is an export as clients see it.
type Export struct {
	ID     string
	Made   time.Time
	Until  time.Time // when another export may remove it
	Size   int64     // bytes of its objects
	SHA256 string    // of its objects
	Counts map[string]int
	Moment bool // all objects are of one moment; else each is of one
}

func exportKey(id string) driver.Key { return driver.Key{Part: ExportPart, Sort: id} }

// exported is the row of an export.
type exported struct {
	Export
	Attempt int64 `json:",omitempty"` // that has put the objects; 0 in rows of earlier releases
}

// exportBlob returns the key of the objects that an attempt at an export puts. A late put
// of an attempt that was overtaken must not replace those of the next one.
func exportBlob(id string, attempt int64) string {
	if attempt == 0 {
		return exportPrefix + id
	}
	return fmt.Sprintf("%s%s-%d", exportPrefix, id, attempt)
}

// attemptOf is the inverse of exportBlob.
func attemptOf(key string) (id string, attempt int64, ok bool) {
	name, ok := strings.CutPrefix(key, exportPrefix)
	id, number, later := strings.Cut(name, "-")
	if later {
		var err error
		attempt, err = strconv.ParseInt(number, 10, 64)
		ok = ok && err == nil && attempt > 0
	}
	return id, attempt, ok && isNumber(id)
}

// exportOf decodes the row of an export.
func exportOf(data []byte) (e exported, err error) {
	return e, json.Unmarshal(data, &e)
}

// blob returns the key of the objects of an export.
func (e exported) blob() string { return exportBlob(e.ID, e.Attempt) }

// exportLock is held by tasks that make and remove exports.
var exportLock = lock.Want{Resource: "export"}

type exportArgs struct{}

// CheckExport makes the task of an export. It reads all objects. The collector keeps
// all that they name until the export is removed.
func (s *Store) CheckExport() task.Spec {
	return task.Spec{Kind: "transfer.export", Name: "Export all objects", Resources: []string{"__all__"}, Locks: []lock.Want{exportLock}, Args: exportArgs{}}
}

func (s *Store) export(ctx context.Context, a *task.Attempt, _ exportArgs) (task.Result, error) {
	if err := s.expire(ctx, a); err != nil {
		return task.Result{}, err
	}
	objects, moment, err := s.snapshot(ctx)
	if err != nil {
		return task.Result{}, err
	}
	if err := s.poolSkeletons(ctx, objects); err != nil {
		return task.Result{}, err
	}
	data, err := Encode(objects)
	if err != nil {
		return task.Result{}, task.Fail(500, "unable to export: %w", err)
	}
	sum := sha256.Sum256(data)
	e := Export{ID: strconv.FormatInt(a.ID(), 10), Made: s.Now().UTC(), Until: s.Now().Add(keepExport).UTC(), Size: int64(len(data)),
		SHA256: hex.EncodeToString(sum[:]), Counts: Count(objects), Moment: moment}
	if _, err := s.Blobs.Put(ctx, exportBlob(e.ID, a.Token()), bytes.NewReader(data), driver.PutOptions{Size: e.Size}); err != nil {
		return task.Result{}, err
	}
	if _, err := a.Get(ctx, exportKey(e.ID)); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, err
	}
	a.PutJSON(exportKey(e.ID), exported{e, a.Token()})
	return task.Result{Code: 201, Value: e}, nil
}

// undoExport removes the objects that the attempts at a failed export have put. A late
// put of one of them leaves an object for the collector.
func (s *Store) undoExport(ctx context.Context, a *task.Attempt, _ exportArgs) error {
	return s.discard(ctx, strconv.FormatInt(a.ID(), 10))
}

// discard removes all objects of an export without a row.
func (s *Store) discard(ctx context.Context, id string) error {
	var keys []string
	for info, err := range s.Blobs.List(ctx, exportPrefix+id, "") {
		if err != nil {
			return err
		}
		if of, _, ok := attemptOf(info.Key); ok && of == id {
			keys = append(keys, info.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return s.Blobs.Delete(ctx, keys...)
}

// Count returns the number of objects of each kind.
func Count(objects []Object) map[string]int {
	counts := map[string]int{}
	for i := range objects {
		counts[objects[i].Kind()]++
	}
	return counts
}

// expire removes exports that are too old.
func (s *Store) expire(ctx context.Context, a *task.Attempt) error {
	for row, err := range s.Table.Scan(ctx, ExportPart, "") {
		if err != nil {
			return err
		}
		e, err := exportOf(row.Data)
		if err != nil {
			return fmt.Errorf("export %s: %w", row.Sort, err)
		}
		if s.Now().Before(e.Until) {
			continue
		}
		if err := s.drop(ctx, a, row.Sort, func() error { return a.Save(ctx, row.Sort) }); err != nil {
			return err
		}
	}
	return nil
}

// drop removes an export: its row first, since the row names the object. save writes the
// removal of the row.
func (s *Store) drop(ctx context.Context, a *task.Attempt, id string, save func() error) error {
	data, err := a.Get(ctx, exportKey(id))
	if errors.Is(err, driver.ErrNotFound) {
		return s.discard(ctx, id)
	}
	if err != nil {
		return err
	}
	e, err := exportOf(data)
	if err != nil {
		return fmt.Errorf("export %s: %w", id, err)
	}
	a.Drop(exportKey(id))
	if err := save(); err != nil {
		return err
	}
	return s.Blobs.Delete(ctx, e.blob())
}

// ForgetArgs are the arguments of the removal of an export.
type ForgetArgs struct{ ID string }

// CheckForget makes the task that removes an export.
func (s *Store) CheckForget(id string) task.Spec {
	return task.Spec{Kind: "transfer.forget", Name: "Remove export " + id, Resources: []string{"__all__"}, Locks: []lock.Want{exportLock}, Args: ForgetArgs{id}}
}

func (s *Store) forget(ctx context.Context, a *task.Attempt, args ForgetArgs) (task.Result, error) {
	if !isNumber(args.ID) {
		return task.Result{}, task.Fail(404, "no export %.40q", args.ID)
	}
	// The removal of the row commits, so a cancel comes too late for the object.
	debt := task.Debt{Name: "export/" + args.ID, Spec: s.CheckForget(args.ID)}
	err := s.drop(ctx, a, args.ID, func() error { return a.Commit(ctx, args.ID, debt) })
	if err == nil {
		a.Pay(debt.Name)
	}
	return task.Result{Value: struct{}{}}, err
}

func isNumber(id string) bool {
	return id != "" && len(id) <= 19 && strings.Trim(id, "0123456789") == ""
}

// snapshot reads the rows of all objects. It reads them until two reads in a row agree,
// so the rows are of one moment. While others write all the time there is no such
// moment. Then each row is of one, and every source of a publication is there.
func (s *Store) snapshot(ctx context.Context) (objects []Object, moment bool, err error) {
	var last []driver.Row
	for range maxScans {
		var rows []driver.Row
		if rows, objects, err = s.scan(ctx); err != nil {
			return nil, false, err
		}
		if last != nil && equalRows(last, rows) {
			return objects, true, nil
		}
		last = rows
	}
	if missing := dangling(objects); missing != "" {
		return nil, false, task.Fail(503, "unable to export: %s is being changed, please try again", missing)
	}
	return objects, false, nil
}

func equalRows(a, b []driver.Row) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Key != b[i].Key || a[i].Version != b[i].Version {
			return false
		}
	}
	return true
}

// dangling returns a publication without one of its sources, "" if there is none.
func dangling(objects []Object) string {
	there := map[string]bool{}
	for i := range objects {
		there[objects[i].id()] = true
	}
	for i := range objects {
		if p := objects[i].Publication; p != nil {
			for _, c := range p.Components {
				if !there[c.UUID] {
					return p.Dist().String()
				}
			}
		}
	}
	return ""
}

// scan reads all rows once: publications first, then their sources. So a source that is
// dropped meanwhile is missing only if its publication was dropped, too.
func (s *Store) scan(ctx context.Context) (rows []driver.Row, objects []Object, err error) {
	rings := map[string]bool{keyring.Default: true}
	for _, part := range []string{"publish", "snapshot", "mirror", "repo"} {
		for row, err := range s.Table.Scan(ctx, part, "") {
			if err != nil {
				return nil, nil, err
			}
			o, ok, err := objectOf(row)
			if err != nil {
				return nil, nil, err
			}
			if !ok {
				continue
			}
			if o.Mirror != nil && o.Mirror.Schedule != nil {
				for _, name := range o.Mirror.Schedule.Keyrings {
					rings[name] = true
				}
			}
			row.Data = nil
			rows, objects = append(rows, row), append(objects, o)
		}
	}
	for name := range rings {
		clean, err := keyring.CleanName(name)
		if err != nil {
			continue // no ring can have the name
		}
		ring, err := s.Keyrings.Keyring(ctx, []string{clean})
		if err != nil {
			return nil, nil, err
		}
		o := Object{Ring: &Ring{Name: clean}}
		for _, k := range ring.Keys() {
			o.Ring.Keys = append(o.Ring.Keys, k.Binary()...)
		}
		if len(o.Ring.Keys) > 0 {
			objects = append(objects, o)
		}
	}
	Sort(objects)
	return rows, objects, nil
}

// objectOf returns the object of a row. A publication that is being dropped is none.
func objectOf(row driver.Row) (o Object, ok bool, err error) {
	switch row.Part {
	case "repo":
		o.Repo = new(repo.Repo)
		err = json.Unmarshal(row.Data, o.Repo)
	case "mirror":
		o.Mirror = new(mirror.Mirror)
		err = json.Unmarshal(row.Data, o.Mirror)
		o.Mirror.Updating, o.Mirror.ArchiveRoot = 0, upstream.Shown(o.Mirror.ArchiveRoot)
	case "snapshot":
		o.Snapshot = new(snapshot.Snapshot)
		err = json.Unmarshal(row.Data, o.Snapshot)
	case "publish":
		var p publish.Publication
		if err = json.Unmarshal(row.Data, &p); p.Dropping || p.Manifest == "" {
			return o, false, err
		}
		o.Publication = &Publication{Settings: p.Settings, Components: p.Components, state: p.Skeleton}
	}
	if err != nil {
		return o, false, fmt.Errorf("row %s: %w", row.Key, err)
	}
	return o, true, nil
}

// ExportRoots returns all that the row of an export needs.
func (s *Store) ExportRoots(ctx context.Context, data []byte) (gc.Roots, error) {
	e, err := exportOf(data)
	if err != nil {
		return gc.Roots{}, err
	}
	body, _, err := s.Blobs.Open(ctx, e.blob(), nil)
	if err != nil {
		return gc.Roots{}, err
	}
	defer body.Close()
	objects, err := Decode(body)
	if err != nil {
		return gc.Roots{}, err
	}
	var roots gc.Roots
	for i := range objects {
		objects[i].roots(&roots)
	}
	return roots, nil
}

// roots adds the needs of an object.
func (o *Object) roots(to *gc.Roots) {
	_ = o.Lists(func(ref *lists.Ref) error {
		to.Packages = append(to.Packages, *ref)
		return nil
	})
	to.Files = append(to.Files, o.Files()...)
}

// MaxPart bounds the bytes of one part of an export that a client reads. An answer of a
// function on AWS has at most 6 MB, a third of which is lost to its encoding.
const MaxPart = 4 << 20

// Kinds of the parts of an export.
const (
	PartObjects = "objects"
	PartLists   = "lists" // <epoch>-<digest>
	PartFiles   = "files" // SHA-256
)

// Part returns at most MaxPart bytes of a part of an export, from an offset on. An
// offset at the end gives no bytes. The error is driver.ErrNotFound if there is no such
// export or part.
func (s *Store) Part(ctx context.Context, id, kind, name string, from int64) ([]byte, error) {
	if !isNumber(id) {
		return nil, driver.ErrNotFound
	}
	row, err := s.Table.Get(ctx, exportKey(id))
	if err != nil {
		return nil, err
	}
	e, err := exportOf(row.Data)
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", id, err)
	}
	key := ""
	switch kind {
	case PartObjects:
		key = e.blob()
	case PartLists:
		epoch, digest, _ := strings.Cut(name, "-")
		n, err := strconv.ParseInt(epoch, 10, 64)
		var d lists.Digest
		if err != nil || n < 0 || digest == "" || d.UnmarshalText([]byte(digest)) != nil {
			return nil, driver.ErrNotFound
		}
		key = lists.ObjectKey(n, d)
	case PartFiles:
		if !isSHA256(name) {
			return nil, driver.ErrNotFound
		}
		key = pool.FileKey(name)
	default:
		return nil, driver.ErrNotFound
	}
	body, _, err := s.Blobs.Open(ctx, key, &driver.Range{Offset: from, Length: MaxPart})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
