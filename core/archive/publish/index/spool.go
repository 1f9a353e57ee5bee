package index

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
// private Object, from which the file is then copied.
type Spool struct {
	ctx   context.Context
	blobs driver.Blobs // nil if the bytes are not kept
	key   string       // of the private Object
	limit int
	hash  *deb.Hasher
	held  bytes.Buffer
	pipe  *io.PipeWriter // to the private Object; nil as long as all is in memory
	put   *parallel.Call[driver.Info]
}

// Spool begins a file. name tells the private objects of the spools apart that
// are open at the same time.
func (st *Stager) Spool(ctx context.Context, name string) *Spool {
	return &Spool{ctx: ctx, blobs: st.Blobs, key: st.Folder + "/spool-" + name, limit: spoolLimit, hash: deb.NewHasher()}
}

func (s *Spool) Write(p []byte) (int, error) {
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

// spill begins to put the private Object: what is held, then what is written.
func (s *Spool) spill() {
	r, w := io.Pipe()
	s.pipe = w
	s.put = parallel.Start(func() (driver.Info, error) {
		defer r.Close() // after a panic the writer does not wait for a reader
		info, err := s.blobs.Put(s.ctx, s.key, io.MultiReader(&s.held, r), driver.PutOptions{})
		r.CloseWithError(err) // the next write fails with it
		return info, err
	})
}

// store puts the file under a key that is made of its digest and ends the spool.
// An object that exists there has the same bytes.
func (s *Spool) store(key string, o Object, opt driver.PutOptions) error {
	opt.IfAbsent, opt.Size = true, o.Size
	if s.pipe == nil {
		opt.SHA256 = o.SHA256
		_, err := s.blobs.Put(s.ctx, key, &s.held, opt)
		return UnlessExists(err)
	}
	s.pipe.Close()
	_, err := s.put.Result()
	s.pipe = nil
	if err != nil {
		return err
	}
	if _, err := s.blobs.Copy(s.ctx, key, s.key, opt); UnlessExists(err) != nil {
		return err
	}
	return s.blobs.Delete(s.ctx, s.key)
}

// errAborted breaks off the private Object of a file that is not wanted.
var errAborted = errors.New("file not wanted")

// Abort ends a spool that was not stored; nothing is left of it.
func (s *Spool) Abort() {
	if s.pipe == nil {
		return
	}
	s.pipe.CloseWithError(errAborted)
	s.put.Result()
	s.pipe = nil
}
