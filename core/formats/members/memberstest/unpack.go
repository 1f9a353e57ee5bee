package memberstest

import (
	"bytes"
	"compress/bzip2"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// Unpack unpacks a whole file with an ordinary reader of its format.
func Unpack(suffix string, data []byte) ([]byte, error) {
	switch suffix {
	case ".bz2":
		return io.ReadAll(bzip2.NewReader(bytes.NewReader(data)))
	case ".xz":
		r, err := xz.NewReader(bytes.NewReader(data), 0)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(data, nil)
}
