package members

import "github.com/klauspost/compress/zstd"

// zstdPacking makes a file of frames, one for each member.
type zstdPacking struct{ encoder *zstd.Encoder }

func newZstdPacking() (*zstdPacking, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	return &zstdPacking{e}, err
}

func (*zstdPacking) Head() []byte { return nil }

func (k *zstdPacking) Member(plain []byte) ([]byte, int64, int64, error) {
	data := k.encoder.EncodeAll(plain, nil)
	return data, int64(len(data)) * 8, 0, nil
}

// Tail returns an empty frame if there is no other, since a file needs a frame.
func (k *zstdPacking) Tail(_ []int64, members []Member) ([]byte, int64) {
	if len(members) > 0 {
		return nil, 0
	}
	data := k.encoder.EncodeAll(nil, nil)
	return data, int64(len(data)) * 8
}
