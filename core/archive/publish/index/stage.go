package index

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Text stages a small file, unless the last publication had it.
func (st *Stager) Text(ctx context.Context, base *Set, name string, text []byte) (File, error) {
	if f := (File{name, st.sum(text)}); st.has(base, f) {
		return f, nil
	}
	return st.Data(ctx, name, text)
}

// has reports whether the last publication has staged a file beside an index.
func (st *Stager) has(base *Set, f File) bool {
	return slices.Contains(base.Releases, f) && st.Staged(base)
}

// Staged reports whether the files of the last publication are there under all
// the digests that this publication needs.
func (st *Stager) Staged(base *Set) bool { return base.ByHash || !st.Header.ByHash }

// sum returns the object that has these bytes.
func (st *Stager) sum(data []byte) Object {
	d := newDigester(st.Header.digests())
	d.Write(data) // without States it does not fail
	o, _ := d.object()
	return o
}

// Data stages a small file under each of its digests.
func (st *Stager) Data(ctx context.Context, name string, data []byte) (File, error) {
	s := st.Spool(ctx, "file")
	defer s.Abort()
	if _, err := s.Write(data); err != nil {
		return File{}, err
	}
	return st.Stage(ctx, name, s)
}

// Stage stages the bytes of a spool under each of their digests. name is the
// path of the file below the distribution.
func (st *Stager) Stage(ctx context.Context, name string, s *Spool) (File, error) {
	o, _ := s.digest.object()
	f := File{name, o}
	keys := f.ByHash(st.tree())
	st.Expect(keys...)
	if err := st.List(ctx); err != nil {
		return File{}, err
	}
	if err := s.store(keys[0], f.Object, byDigest(f.Size)); err != nil {
		return File{}, err
	}
	if !st.Header.ByHash {
		return f, nil
	}
	return f, st.CopyByHash(ctx, keys[0], f.Size, keys[1:])
}

// byDigest describes a file that is found by its digest.
func byDigest(size int64) driver.PutOptions {
	return driver.PutOptions{IfAbsent: true, Size: size, CacheControl: paths.Immutable, ContentType: "application/octet-stream"}
}

// CopyByHash copies a file that is staged by hash to more keys of that kind.
func (st *Stager) CopyByHash(ctx context.Context, from string, size int64, keys []string) error {
	for _, key := range keys {
		if _, err := st.Blobs.Copy(ctx, key, from, byDigest(size)); UnlessExists(err) != nil {
			return err
		}
	}
	return nil
}

// Limits of a file that stays in memory, in bytes.
const (
	spoolLimit = 64 << 20
	spoolFree  = 1 << 20 // without asking for memory
)

// Spool takes the bytes of a file whose name, its digest, is known at the end
// only. They stay in memory up to a limit. The bytes of a larger file go to a
// private Object, from which the file is then copied.
type Spool struct {
	ctx    context.Context
	blobs  driver.Blobs // nil if the bytes are not kept
	key    string       // of the private Object
	limit  int
	free   int              // bytes that may stay in memory, of limit
	from   *parallel.Budget // gives more
	given  []*parallel.Lease
	digest *digester
	expect int64 // bytes that the file may have; 0 if nothing is known
	held   buffer
	pipe   *io.PipeWriter // to the private Object; nil as long as all is in memory
	put    *parallel.Call[driver.Info]
}

// Spool begins a file. name tells the private objects of the spools apart that
// are open at the same time.
func (st *Stager) Spool(ctx context.Context, name string) *Spool {
	return &Spool{ctx: ctx, blobs: st.Blobs, key: st.Folder + "/spool-" + name, limit: cmp.Or(st.SpoolLimit, spoolLimit), free: spoolFree, from: st.Tasks, digest: newDigester(st.Header.digests())}
}

func (s *Spool) Write(p []byte) (int, error) {
	if _, err := s.digest.Write(p); err != nil || s.blobs == nil {
		return len(p), err
	}
	if s.pipe == nil && s.held.size == 0 {
		s.begin()
	}
	if s.pipe == nil && !s.fits(s.held.size+len(p)) {
		s.spill()
	}
	if s.pipe == nil {
		return s.held.Write(p)
	}
	return s.pipe.Write(p)
}

// begin asks for memory for the bytes that are expected, or begins the private Object of a
// file that will not stay in memory.
func (s *Spool) begin() {
	n := s.expect + s.expect/64 + 4096
	if s.expect > 0 && (n > int64(s.limit) || !s.fits(int(n))) {
		s.spill()
	}
}

// fits reports whether n bytes may stay in memory. It does not wait: others that
// hold memory may wait too.
func (s *Spool) fits(n int) bool {
	for n > s.free && n <= s.limit {
		lease := s.from.TryAcquire(int64(s.free))
		if lease == nil {
			return false
		}
		s.given, s.free = append(s.given, lease), 2*s.free
	}
	return n <= s.limit
}

// forget gives back memory.
func (s *Spool) forget() {
	s.held = buffer{}
	for _, lease := range s.given {
		lease.Release()
	}
	s.given = nil
}

// spill begins to put the private Object. The bytes held come first, then the
// bytes of later writes.
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
	defer s.forget()
	opt.IfAbsent, opt.Size = true, o.Size
	if s.pipe == nil { // opt has no SHA256, which would be computed once more
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
	defer s.forget()
	if s.pipe == nil {
		return
	}
	s.pipe.CloseWithError(errAborted)
	s.put.Result()
	s.pipe = nil
}

// errStates says that bytes of the last index do not give the states that its manifest
// has. All bytes are hashed then.
var errStates = errors.New("wrong states of digests")

// digester computes the digests of a file, and their States. It may pass over the
// beginning of the file, if an earlier file has equal bytes and States.
//
// A wrong state is found in three ways. States have a sum in the manifest. The digester
// goes on from the last state but one, and compares the last one. With Stager.HashAll it
// passes over nothing, and compares all.
type digester struct {
	digests deb.Digests
	hash    *deb.Hasher
	size    int64  // bytes written and passed
	from    int64  // bytes before it are not hashed
	every   int64  // bytes from one state to the next
	states  []byte // so far
	had     []byte // states of the earlier file that lie in the common bytes
}

// newDigester returns a digester that hashes all and has no States.
func newDigester(d deb.Digests) *digester {
	return &digester{digests: d, hash: deb.NewHasherOf(d), every: math.MaxInt64}
}

// resume lets the digester have States. had are the States of an earlier file, whose first
// bytes are common to both; nil if there are none. all passes over no byte. resume fails
// with errStates if had is not as it was written.
func (d *digester) resume(had *States, of Object, common int64, all bool) error {
	d.every = minEvery
	if had == nil || had.Digests != d.digests {
		return nil
	}
	if !had.sound(of) {
		return errStates
	}
	width := deb.ChainSize(d.digests)
	known := int(min(common/had.Every, int64(len(had.States)/width)))
	d.every, d.had = had.Every, had.States[:known*width]
	if all || known < 2 {
		return nil
	}
	at := (known - 1) * width
	from := int64(known-1) * had.Every
	if hash := deb.NewHasherAt(d.digests, from, had.States[at-width:at]); hash != nil {
		d.hash, d.from, d.states = hash, from, append([]byte(nil), had.States[:at]...)
	}
	return nil
}

// Write fails with errStates if a state is not that of the earlier file.
func (d *digester) Write(p []byte) (int, error) {
	all := len(p)
	for len(p) > 0 {
		n := int64(len(p))
		if d.size < d.from {
			n = min(n, d.from-d.size)
		} else {
			n = min(n, d.every-d.size%d.every)
			d.hash.Write(p[:n])
		}
		d.size += n
		p = p[n:]
		if d.size > d.from && d.size%d.every == 0 {
			if err := d.note(); err != nil {
				return 0, err
			}
		}
	}
	return all, nil
}

// pass passes over n bytes, which end before the first byte that is hashed.
func (d *digester) pass(n int64) { d.size += n }

// note adds the state of now.
func (d *digester) note() error {
	state := d.hash.Chain()
	at := len(d.states)
	d.states = append(d.states, state...)
	if end := len(d.states); end <= len(d.had) && !bytes.Equal(state, d.had[at:end]) {
		return errStates
	}
	for len(d.states) > maxStates*len(state) {
		d.states, d.had = second(d.states, len(state)), second(d.had, len(state))
		d.every *= 2
	}
	return nil
}

// second returns every second part of a number of bytes.
func second(all []byte, width int) []byte {
	var half []byte
	for at := width; at+width <= len(all); at += 2 * width {
		half = append(half, all[at:at+width]...)
	}
	return half
}

// object returns the bytes written so far, and their States; nil if there are none.
func (d *digester) object() (Object, *States) {
	f := d.hash.File("")
	o := Object{f.Size, f.MD5, f.SHA1, f.SHA256, f.SHA512}
	if len(d.states) == 0 {
		return o, nil
	}
	return o, (&States{Every: d.every, Digests: d.digests, States: d.states}).seal(o)
}

// buffer has the bytes of a file in parts. Its growth moves no byte, so it takes at most
// maxPart bytes more than it has. A reader lets go of each part that it has read.
type buffer struct {
	parts [][]byte
	read  int // bytes of the first part that were read
	size  int // bytes that were written
}

// Bounds of the parts of a buffer, in bytes.
const (
	minPart = 4 << 10
	maxPart = 256 << 10 // bounds the memory beyond the bytes
)

// Write implements io.Writer. It does not fail.
func (b *buffer) Write(p []byte) (int, error) {
	all := len(p)
	for {
		if n := len(b.parts); n > 0 {
			last := b.parts[n-1]
			more := min(cap(last)-len(last), len(p))
			b.parts[n-1], p = append(last, p[:more]...), p[more:]
			b.size += more
		}
		if len(p) == 0 {
			return all, nil
		}
		b.parts = append(b.parts, make([]byte, 0, min(max(b.size, minPart), maxPart)))
	}
}

// Read implements io.Reader.
func (b *buffer) Read(p []byte) (n int, err error) {
	for len(b.parts) > 0 && n < len(p) {
		more := copy(p[n:], b.parts[0][b.read:])
		n, b.read = n+more, b.read+more
		if b.read == len(b.parts[0]) {
			b.parts[0] = nil
			b.parts, b.read = b.parts[1:], 0
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
