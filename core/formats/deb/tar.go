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
	maxDataTar     = 64 << 30 // data.tar, read in constant memory
	maxEntries     = 1 << 20  // entries per archive
	maxPath        = 4 << 10  // bytes of a path in data.tar
	maxPaths       = 64 << 20 // bytes of all paths; the largest packages of Debian have 200,000 paths
)

// Errors of tar archives.
var (
	errEntries     = errors.New("too many entries")
	errPath        = errors.New("path too long")
	errPaths       = errors.New("paths too long together")
	errControlSize = errors.New("control file too large")
	errControls    = errors.New("more than one control file")
)

// eachEntry calls f for at most limit entries of a tar archive. Then it reads r
// to its end, so that a decoder verifies its checksum.
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
