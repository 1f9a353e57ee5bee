package deb

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
)

// Limits of the archives in a package. Sizes are bytes, unpacked.
const (
	maxControlTar  = 16 << 20 // control.tar
	maxControlFile = 4 << 20  // the control file in it
	maxDataTar     = 64 << 30 // data.tar, which is read in constant memory
	maxEntries     = 1 << 20  // entries of each
	maxPath        = 4 << 10  // a path in data.tar
	maxPaths       = 64 << 20 // all paths together; the largest packages of Debian have 200,000
)

// Errors of tar archives.
var (
	errEntries     = errors.New("too many entries")
	errPath        = errors.New("path too long")
	errPaths       = errors.New("paths too long together")
	errControlSize = errors.New("control file too large")
	errControls    = errors.New("more than one control file")
)

// eachEntry calls f for the entries of a tar archive, of which there may be
// limit, then reads r to its end so that a decoder compares its checksum.
func eachEntry(r io.Reader, limit int, f func(h *tar.Header, content io.Reader) error) error {
	t := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r)
			return err
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

// readControlTar returns the file control of a control.tar, nil if it has
// none. Of two such files, tools would choose differently: that is an error.
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

// readDataTar returns the paths of a data.tar that are no directories, as
// Contents lists them: without a leading "./". A path that has a line feed is
// left out, since no line of Contents can say it. The archive may have so many
// entries, and the paths so many bytes together. hold is told how many bytes the
// paths take before they take them.
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
