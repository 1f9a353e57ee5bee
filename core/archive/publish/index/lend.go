package index

import (
	"context"
	"errors"
	"io"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// sound reports whether the files of an index have the bytes of their digests. It reads
// several at the same time.
func (st *Stager) sound(ctx context.Context, x *Index, tree string) (bool, error) {
	var calls []*parallel.Call[bool]
	for _, f := range x.stored() {
		calls = append(calls, parallel.Start(func() (bool, error) { return st.soundFile(ctx, f, tree) }))
	}
	sound := true
	var errs error
	for _, call := range calls {
		ok, err := call.Result()
		sound, errs = sound && ok, errors.Join(errs, err)
	}
	return sound, errs
}

// soundFile reports whether an object has the bytes of its digests. One that is lost has
// not.
func (st *Stager) soundFile(ctx context.Context, f File, tree string) (bool, error) {
	r, info, err := st.Blobs.Open(ctx, f.ByHash(tree)[0], nil)
	if errors.Is(err, driver.ErrNotFound) || err == nil && info.Size != f.Size {
		if err == nil {
			r.Close()
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	digests := st.Header.digests() | deb.SHA256
	hash := deb.NewHasherOf(digests)
	if _, err := io.CopyBuffer(hash, r, make([]byte, 256<<10)); err != nil {
		return false, err
	}
	has := hash.File(f.Path)
	return has.Size == f.Size && has.SHA256 == f.SHA256 && (digests&deb.MD5 == 0 || has.MD5 == f.MD5) &&
		(digests&deb.SHA1 == 0 || has.SHA1 == f.SHA1) && (digests&deb.SHA512 == 0 || has.SHA512 == f.SHA512), nil
}
