package members

import "fmt"

// New returns the Packing of a suffix: .bz2, .xz or .zst.
func New(suffix string) (Packing, error) {
	switch suffix {
	case ".bz2":
		return newBzip2Packing(), nil
	case ".xz":
		return xzPacking{}, nil
	case ".zst":
		return newZstdPacking()
	}
	return nil, fmt.Errorf("pieces cannot be compressed as %q", suffix)
}
