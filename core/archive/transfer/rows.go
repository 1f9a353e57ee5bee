package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	"aptless/core/archive/mirror"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// mark remembers an object that was loaded. It tells the next import of the same object
// whether the object has changed there, and here.
type mark struct {
	Object string // digest of the object in the transfer
	State  string // digest of the object here, as the import left it
}

// markKey is the key of an object's mark. It is written in the transactions of the
// object's row only, and removed with it; see source.Marks.
func markKey(o *Object) driver.Key { return source.Mark(o.Kind(), o.id()) }

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// digest returns the digest of an object, the same for equal lists in any storage.
func (o Object) digest() (string, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	var same Object // a copy, since lists are changed
	if err := json.Unmarshal(data, &same); err != nil {
		return "", err
	}
	_ = same.Lists(func(ref *lists.Ref) error {
		*ref = lists.Ref{Digest: ref.Digest, Count: ref.Count}
		return nil
	})
	if same.Mirror != nil {
		same.Mirror.Secrets, same.Mirror.Updating = mirror.Secrets{}, 0
	}
	if data, err = json.Marshal(same); err != nil {
		return "", err
	}
	return digestOf(string(data)), nil
}

// present returns the object here with the identity of o, nil if there is none.
func (s *Store) present(ctx context.Context, get named.Getter, o *Object) (*Object, error) {
	now := &Object{}
	var err error
	switch o.Kind() {
	case OfRepo:
		now.Repo = new(repo.Repo)
		err = get(ctx, s.Repos.Rows().Key(o.id()), now.Repo)
	case OfMirror:
		now.Mirror = new(mirror.Mirror)
		err = get(ctx, s.Mirrors.Rows().Key(o.id()), now.Mirror)
	case OfSnapshot:
		now.Snapshot = new(snapshot.Snapshot)
		err = get(ctx, s.Snapshots.Rows().Key(o.id()), now.Snapshot)
	case OfPublication:
		row, getErr := s.Table.Get(ctx, o.Publication.Dist().Row())
		if err = getErr; err == nil {
			var found Object
			var ok bool
			if found, ok, err = objectOf(row); !ok && err == nil {
				return nil, nil
			}
			if now = &found; err == nil {
				err = s.skeleton(ctx, now.Publication, nil)
			}
		}
	default:
		return nil, nil
	}
	if errors.Is(err, driver.ErrNotFound) {
		return nil, nil
	}
	return now, err
}

// holder returns the identity of the thing that has the name of o, "" if none has.
func (s *Store) holder(ctx context.Context, o *Object) (string, error) {
	var id string
	var err error
	switch o.Kind() {
	case OfRepo:
		var v repo.Repo
		v, err = s.Repos.ByName(ctx, o.Name())
		id = v.UUID
	case OfMirror:
		var v mirror.Mirror
		v, err = s.Mirrors.ByName(ctx, o.Name())
		id = v.UUID
	case OfSnapshot:
		var v snapshot.Snapshot
		v, err = s.Snapshots.ByName(ctx, o.Name())
		id = v.UUID
	}
	if errors.Is(err, driver.ErrNotFound) {
		return "", nil
	}
	return id, err
}

// write adds the rows of a repository, mirror or snapshot to the task's transaction. now
// is the present object, nil if there is none.
func (s *Store) write(ctx context.Context, a *task.Attempt, o, now *Object) error {
	fresh := now == nil
	var err error
	switch o.Kind() {
	case OfRepo:
		err = put(ctx, a, s.Repos.Rows(), o.Repo, fresh)
	case OfMirror:
		if !fresh {
			err = renamed(ctx, a, s.Mirrors.Rows(), now.Mirror, o.Name())
		}
		if err == nil {
			err = s.Mirrors.Restore(ctx, a, o.Mirror, fresh)
		}
	case OfSnapshot:
		if err = put(ctx, a, s.Snapshots.Rows(), o.Snapshot, fresh); err == nil {
			err = s.refer(ctx, a, o.Snapshot)
		}
	}
	err = named.Refuse[*named.Taken](err, 409, "unable to import: %w")
	return named.Refuse[*named.TooLarge](err, 400, "unable to import: %w")
}

// put adds the rows of a thing.
func put[T any](ctx context.Context, a *task.Attempt, rows named.Rows[T], v *T, fresh bool) error {
	if fresh {
		return rows.Create(ctx, a, v)
	}
	uuid, name := rows.Fields(v)
	var now T
	if err := a.GetJSON(ctx, rows.Key(*uuid), &now); err != nil {
		return err
	}
	if err := renamed(ctx, a, rows, &now, *name); err != nil {
		return err
	}
	return rows.Save(a, v)
}

// renamed gives a thing another name, if it is another.
func renamed[T any](ctx context.Context, a *task.Attempt, rows named.Rows[T], now *T, name string) error {
	if _, has := rows.Fields(now); *has == name {
		return nil
	}
	return rows.Rename(ctx, a, now, name)
}

// maxSources bounds the sources to which a snapshot refers: each costs two operations of
// a transaction, as in package snapshot. aptly makes snapshots of more. Further sources
// stay in the row, and can be dropped without force.
const maxSources = 45

// refer adds the rows by which a snapshot refers to its sources. A source that is not here
// may come with a later transfer.
func (s *Store) refer(ctx context.Context, a *task.Attempt, v *snapshot.Snapshot) error {
	kind := kindOf(v.SourceKind)
	var done []string
	for _, src := range v.Sources {
		if slices.Contains(done, src.UUID) || len(done) == maxSources {
			continue
		}
		done = append(done, src.UUID)
		key := kind.Ref(src.UUID, "snapshot/"+v.UUID)
		if _, err := a.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		a.Put(key, []byte("{}"))
	}
	return nil
}

// kindOf returns the kind of source for a SourceKind of a snapshot.
func kindOf(sourceKind string) source.Kind {
	switch sourceKind {
	case snapshot.OfRepo:
		return source.Repo
	case snapshot.OfMirror:
		return source.Mirror
	}
	return source.Snapshot
}
