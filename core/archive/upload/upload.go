package upload

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// MakeDir creates an upload directory and its parents. The error is ErrForeign if the
// directory belongs to another owner.
func (s *Store) MakeDir(ctx context.Context, dir string) error {
	if s.caller != nil {
		if err := s.claim(ctx, topOf(dir)); err != nil || topOf(dir) == dir {
			return err
		}
	}
	_, err := s.Table.Get(ctx, dirKey(dir))
	if !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	data, err := json.Marshal(s.mark())
	if err != nil {
		return err
	}
	row := func(dir string) driver.Row { return driver.Row{Key: dirKey(dir), Data: data} }
	var parents []driver.Row
	for _, parent := range above(dir) {
		if s.caller == nil || parent != topOf(dir) {
			parents = append(parents, row(parent))
		}
	}
	// Parents come first: a directory implies its parents.
	if len(parents) > 0 {
		if err := s.Table.Put(ctx, parents...); err != nil {
			return err
		}
	}
	return s.Table.Put(ctx, row(dir))
}

// Receive stores an uploaded file. It replaces a file of the same name. If r has
// more than Limit bytes, the error is ErrTooLarge and nothing is stored.
func (s *Store) Receive(ctx context.Context, dir, name string, r io.Reader) error {
	u, err := s.store(ctx, dir, name, r)
	if err != nil {
		return err
	}
	return s.nameFile(ctx, u)
}

// store stores the object of an uploaded file, lazily: its row makes it durable.
func (s *Store) store(ctx context.Context, dir, name string, r io.Reader) (Upload, error) {
	hash := deb.NewHasher()
	u := Upload{Dir: dir, Name: name, Blob: pool.IncomingPrefix + rand.Text(), Mark: s.mark()}
	if err := uploadKey(dir, name).Check(); err != nil {
		return u, err
	}
	if _, err := s.Blobs.Put(driver.Lazily(ctx), u.Blob, io.TeeReader(&limited{r, s.Limit()}, hash), driver.PutOptions{}); err != nil {
		return u, err
	}
	u.File = hash.File(name)
	return u, nil
}

// Form receives the files of one request into a directory. They get their names by
// Place, concurrently, so that they share the syncs of the storage.
type Form struct {
	store *Store
	dir   string
	held  []Upload // of different names
}

// maxPlaced bounds concurrent calls of nameFile.
const maxPlaced = 32

// Form returns a Form that has received nothing.
func (s *Store) Form(dir string) *Form { return &Form{store: s, dir: dir} }

// Receive is Store.Receive, except that the file has its name after a later Place. Of two
// files of one name the later counts.
func (f *Form) Receive(ctx context.Context, name string, r io.Reader) error {
	u, err := f.store.store(ctx, f.dir, name, r)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(f.held, func(h Upload) bool { return h.Name == name }); i >= 0 {
		earlier := f.held[i].Blob
		f.held[i] = u
		return f.store.Blobs.Delete(ctx, earlier)
	}
	f.held = append(f.held, u)
	return nil
}

// Place gives the files that were received their names.
func (f *Form) Place(ctx context.Context) error {
	held := f.held
	f.held = nil
	return parallel.Each(ctx, maxPlaced, len(held), func(ctx context.Context, i int) error { return f.store.nameFile(ctx, held[i]) })
}

// Drop deletes the files that were received and have no names.
func (f *Form) Drop(ctx context.Context) error {
	var objects []string
	for _, u := range f.held {
		objects = append(objects, u.Blob)
	}
	f.held = nil
	return f.store.Blobs.Delete(ctx, objects...)
}

// nameFile gives a stored file its name, together with the operations of more. It
// replaces a file of that name; ErrForeign says that it is of another owner. A
// *driver.ConflictError names rows of more.
func (s *Store) nameFile(ctx context.Context, u Upload, more ...driver.Op) error {
	data, err := json.Marshal(u)
	if err != nil {
		return err
	}
	key := uploadKey(u.Dir, u.Name)
	for {
		old, sees, err := s.find(ctx, u.Dir, u.Name)
		if err == nil && !sees {
			return foreign(u.Dir, u.Name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, err = s.Table.Write(ctx, append([]driver.Op{{Do: driver.OpPut, Key: key, If: old.version, Data: data}}, more...)...)
		var conflict *driver.ConflictError
		if errors.As(err, &conflict) && slices.Equal(conflict.Keys, []driver.Key{key}) {
			continue // another upload of the name was first
		}
		if err != nil || old.Blob == "" {
			return err
		}
		return s.Blobs.Delete(ctx, old.Blob)
	}
}

// Take copies an object into a directory as a file, without reading it. sha256 is the
// digest that it is said to have, or "" if none is known; reading the file verifies it.
func (s *Store) Take(ctx context.Context, dir, name, object, sha256 string) error {
	u := Upload{Dir: dir, Name: name, Blob: pool.IncomingPrefix + rand.Text(), Mark: s.mark()}
	if err := uploadKey(dir, name).Check(); err != nil {
		return err
	}
	info, err := s.Blobs.Copy(driver.Lazily(ctx), u.Blob, object, driver.PutOptions{})
	if err != nil {
		return err
	}
	u.File = deb.File{Name: name, Size: info.Size, SHA256: sha256}
	return s.nameFile(ctx, u)
}

// Adopt moves an uploaded file into the pool; see pool.Store.Adopt.
func (s *Store) Adopt(ctx context.Context, u Upload) error {
	return s.Pool.Adopt(ctx, u.Blob, u.File)
}
