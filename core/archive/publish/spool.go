package publish

import (
	"bytes"
	"context"
	"errors"
	"io"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// spoolLimit is how many bytes of a file stay in memory.
const spoolLimit = 64 << 20

// spool takes the bytes of a file whose name, its digest, is known at the end
// only. They stay in memory up to a limit; those of a larger file go to a
// private object, from which the file is then copied.
type spool struct {
	ctx   context.Context
	blobs driver.Blobs // nil if the bytes are not kept
	key   string       // of the private object
	limit int
	hash  *deb.Hasher
	held  bytes.Buffer
	pipe  *io.PipeWriter // to the private object; nil as long as all is in memory
	put   *parallel.Call[driver.Info]
}

func (st *stager) spool(ctx context.Context, name string) *spool {
	return &spool{ctx: ctx, blobs: st.store.Blobs, key: st.folder + "/spool-" + name, limit: spoolLimit, hash: deb.NewHasher()}
}

func (s *spool) Write(p []byte) (int, error) {
	s.hash.Write(p)
	if s.blobs == nil {
		return len(p), nil
	}
	if s.pipe == nil && s.held.Len()+len(p) > s.limit {
		s.spill()
	}
	if s.pipe == nil {
		return s.held.Write(p)
	}
	return s.pipe.Write(p)
}

// spill begins to put the private object: what is held, then what is written.
func (s *spool) spill() {
	r, w := io.Pipe()
	s.pipe = w
	s.put = parallel.Start(func() (driver.Info, error) {
		defer r.Close() // after a panic the writer does not wait for a reader
		info, err := s.blobs.Put(s.ctx, s.key, io.MultiReader(&s.held, r), driver.PutOptions{})
		r.CloseWithError(err) // the next write fails with it
		return info, err
	})
}

// store puts the file under a key that is made of its digest, and ends the
// spool: what exists under it has the same bytes.
func (s *spool) store(key string, o object, opt driver.PutOptions) error {
	opt.IfAbsent, opt.Size = true, o.Size
	if s.pipe == nil {
		opt.SHA256 = o.SHA256
		_, err := s.blobs.Put(s.ctx, key, &s.held, opt)
		return unlessExists(err)
	}
	s.pipe.Close()
	_, err := s.put.Result()
	s.pipe = nil
	if err != nil {
		return err
	}
	if _, err := s.blobs.Copy(s.ctx, key, s.key, opt); unlessExists(err) != nil {
		return err
	}
	return s.blobs.Delete(s.ctx, s.key)
}

func unlessExists(err error) error {
	if errors.Is(err, driver.ErrExists) {
		return nil
	}
	return err
}

// errAborted breaks off the private object of a file that is not wanted.
var errAborted = errors.New("file not wanted")

// abort ends the spool unless it was stored; nothing is left of it.
func (s *spool) abort() {
	if s.pipe == nil {
		return
	}
	s.pipe.CloseWithError(errAborted)
	s.put.Result()
	s.pipe = nil
}
