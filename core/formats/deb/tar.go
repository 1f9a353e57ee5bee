package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Limits of the archives in a package. Sizes are bytes, unpacked.
const (
	maxControlTar  = 16 << 20 // control.tar
	maxControlFile = 4 << 20  // the control file in it
	maxDataTar     = 64 << 30 // data.tar, read in constant memory
	maxEntries     = 1 << 20  // entries per archive

	maxPaths = 64 << 20 // bytes of all paths; the largest packages of Debian have 200,000 paths
)

// Errors of tar archives.
var (
	errEntries     = errors.New("too many entries")
	errPath        = errors.New("path too long")
	errPaths       = errors.New("paths too long together")
	errControlSize = errors.New("control file too large")
	errControls    = errors.New("more than one control file")
	errNoHeader    = errors.New("a block that has to be a tar header is none")
)

// eachEntry calls f for at most limit entries of a tar archive. Then it reads r
// to its end, so that a decoder verifies its checksum.
//
// f may use the header and its content during the call only. Name, Typeflag and Size
// are the fields of the header that are always set.
func eachEntry(r io.Reader, limit int, f func(h *tar.Header, content io.Reader) error) error {
	plain := &plainTar{r: r}
	n := 0
	for ; ; n++ {
		h, err := plain.next()
		if err == errUnusual {
			break
		}
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil || h == nil {
			return err
		}
		if n == limit {
			return errEntries
		}
		if err := f(h, plain); err != nil {
			return err
		}
	}
	return restOfEntries(io.MultiReader(bytes.NewReader(plain.read()), r), limit-n, f)
}

// restOfEntries is eachEntry without the reader of plain headers.
func restOfEntries(r io.Reader, limit int, f func(h *tar.Header, content io.Reader) error) error {
	blocks := &tarBlocks{r: r}
	t := tar.NewReader(blocks)
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if errors.Is(err, tar.ErrHeader) {
			if _, broken := io.Copy(io.Discard, r); broken != nil {
				return broken
			}
			if blocks.damaged() {
				return errNoHeader
			}
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return err
		}
		if n == limit {
			return errEntries
		}
		if err := f(h, t); err != nil {
			return err
		}
	}
}

// tarBlocks remembers the last block that was read alone, as headers are.
type tarBlocks struct {
	r    io.Reader
	at   int64
	last [512]byte
	meta int64 // where the text of the last extended header ends
}

// Read fills p if it has the size of a block. A tar reader reads headers so.
func (b *tarBlocks) Read(p []byte) (int, error) {
	if len(p) != len(b.last) {
		n, err := b.r.Read(p)
		b.at += int64(n)
		return n, err
	}
	n := 0
	var err error
	for n < len(p) && err == nil {
		var more int
		more, err = b.r.Read(p[n:])
		n += more
	}
	b.at += int64(n)
	if n == len(p) {
		copy(b.last[:], p)
		if b.at > b.meta && b.extends() {
			b.meta = b.at + b.size()
		}
	}
	return n, err
}

// damaged reports whether the last block had to be a header, and is none by its
// checksum. dpkg-deb and GNU tar fail at such an archive. It is false for the
// text of an extended header, and for a valid header that archive/tar refuses.
func (b *tarBlocks) damaged() bool { return b.at > b.meta && !b.isHeader() }

// extends reports whether the last block is a header of another header's text:
// of pax or of GNU's long names.
func (b *tarBlocks) extends() bool {
	const typeflag = 156
	return strings.IndexByte("xgLK", b.last[typeflag]) >= 0 && b.isHeader()
}

// size returns the size of the last block's entry, rounded to blocks; 0 if the
// block does not say.
func (b *tarBlocks) size() int64 {
	n, err := strconv.ParseInt(strings.Trim(string(b.last[124:136]), " \x00"), 8, 40)
	if err != nil || n < 0 {
		return 0
	}
	return (n + int64(len(b.last)) - 1) &^ (int64(len(b.last)) - 1)
}

// isHeader verifies the checksum of the last block. It is the sum of the bytes,
// with blanks in place of the checksum. Old programs added signed bytes.
func (b *tarBlocks) isHeader() bool {
	const from, to = 148, 156
	want, err := strconv.ParseInt(strings.Trim(string(b.last[from:to]), " \x00"), 8, 32)
	unsigned, signed := int64(0), int64(0)
	for i, c := range b.last {
		if from <= i && i < to {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return err == nil && (want == unsigned || want == signed)
}

// readControlTar returns the file control of a control.tar, nil if it has none.
// Two such files are an error, since tools choose between them differently.
func readControlTar(r io.Reader) (control []byte, err error) {
	err = eachEntry(r, maxEntries, func(h *tar.Header, content io.Reader) error {
		if h.Typeflag != tar.TypeReg || (h.Name != "./control" && h.Name != "control") {
			return nil
		}
		if control != nil {
			return errControls
		}
		if h.Size > maxControlFile {
			return errControlSize
		}
		control = make([]byte, h.Size)
		_, err := io.ReadFull(content, control)
		return err
	})
	if err != nil {
		return nil, err
	}
	return control, nil
}

// readDataTar returns the paths in a data.tar as Contents lists them: without
// directories and without a leading "./". A path with a line feed has no form in
// Contents and is dropped. entries and bytes bound the archive. hold is called
// before the paths take more memory, with its size.
func readDataTar(r io.Reader, entries, bytes int, hold func(int64) error) (*Paths, error) {
	paths := new(Paths)
	held := int64(0)
	err := eachEntry(r, entries, func(h *tar.Header, _ io.Reader) error {
		// A regular file whose name ends with a slash is a directory for tar.
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader || strings.HasSuffix(h.Name, "/") {
			return nil
		}
		if len(h.Name) > maxPath {
			return errPath
		}
		name := strings.TrimPrefix(h.Name, "./")
		if name == "" || strings.Contains(name, "\n") {
			return nil
		}
		if paths.size+len(name) > bytes {
			return errPaths
		}
		if n := paths.held(); n > held {
			held = n
			if err := hold(n); err != nil {
				return err
			}
		}
		paths.add(name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	paths.sort()
	return paths, nil
}
