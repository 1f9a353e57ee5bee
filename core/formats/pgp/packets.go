package pgp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Limits of input.
const (
	maxKeyring    = 64 << 20 // bytes of keys; twice the ring of all Debian developers
	maxMessage    = 32 << 20 // bytes of a text with its signatures
	maxPacket     = 1 << 20  // bytes of a packet
	maxKeys       = 16384    // keys of a ring
	maxParts      = 4096     // user IDs and subkeys of a key
	maxSelfSigs   = 4096     // signatures of a key that are verified when it is parsed
	maxSignatures = 32       // signatures of a message
	maxBits       = 16384    // of a key; gpg reads no larger one
	maxDSABits    = 3072     // of a DSA key (FIPS 186-4), which is slow to verify
	maxAlgorithm  = 28       // the last of RFC 9580; later ones need keys of version 6
)

// tag is the type of a packet (RFC 4880, 4.3).
type tag byte

const (
	tagSignature     tag = 2
	tagSecretKey     tag = 5
	tagPublicKey     tag = 6
	tagSecretSubkey  tag = 7
	tagMarker        tag = 10
	tagTrust         tag = 12
	tagUserID        tag = 13
	tagPublicSubkey  tag = 14
	tagUserAttribute tag = 17
)

// frame is one packet as it was read.
type frame struct {
	tag  tag
	raw  []byte // with its header
	body []byte
}

// frames splits data into packets. It refuses packets of partial or indeterminate
// length, which keys and signatures never have.
func frames(data []byte) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		for len(data) > 0 {
			f, err := readFrame(data)
			if !yield(f, err) || err != nil {
				return
			}
			data = data[len(f.raw):]
		}
	}
}

func readFrame(data []byte) (frame, error) {
	var f frame
	header, length := 0, uint64(0)
	field := func(n int) bool { // reads a length of n bytes
		if len(data) < 1+n {
			return false
		}
		var b [8]byte
		copy(b[8-n:], data[1:1+n])
		header, length = 1+n, binary.BigEndian.Uint64(b[:])
		return true
	}
	ok := false
	switch first := data[0]; {
	case first&0xc0 == 0xc0: // new format, RFC 4880, 4.2.2
		f.tag = tag(first & 0x3f)
		if len(data) < 2 {
			break
		}
		switch l := data[1]; {
		case l < 192:
			ok = field(1)
		case l < 224:
			if ok = field(2); ok {
				length = (length>>8-192)<<8 + length&0xff + 192
			}
		case l == 255 && len(data) >= 6:
			header, length, ok = 6, uint64(binary.BigEndian.Uint32(data[2:])), true
		}
	case first&0x80 != 0 && first&3 != 3: // old format, 4.2.1
		f.tag = tag(first >> 2 & 0xf)
		ok = field(1 << (first & 3))
	}
	if !ok {
		return f, fmt.Errorf("packet header: %w", ErrMalformed)
	}
	if length > maxPacket {
		return f, fmt.Errorf("packet of %d bytes: %w", length, ErrTooLarge)
	}
	if length > uint64(len(data)-header) {
		return f, fmt.Errorf("packet cut short: %w", ErrMalformed)
	}
	f.raw = data[:header+int(length)]
	f.body = f.raw[header:]
	return f, nil
}

// parse reads the packet. The error is ErrUnsupported or ErrMalformed.
func (f frame) parse() (packet.Packet, error) {
	// The place of the algorithm depends on the packet (RFC 4880, 5.2.3 and
	// 5.5.2).
	at := 5
	if f.tag == tagSignature {
		at = 2
	}
	if len(f.body) > at && f.body[at] > maxAlgorithm {
		return nil, fmt.Errorf("packet %d of algorithm %d: %w", f.tag, f.body[at], ErrUnsupported)
	}
	p, err := packet.Read(bytes.NewReader(f.raw))
	if err == nil {
		return p, nil
	}
	kind := ErrMalformed
	var unsupported pgperrors.UnsupportedError
	var unknown pgperrors.UnknownPacketTypeError
	if errors.As(err, &unsupported) || errors.As(err, &unknown) {
		kind = ErrUnsupported
	}
	return nil, fmt.Errorf("packet %d: %w: %v", f.tag, kind, err)
}

// mpi encodes an integer (RFC 4880, 3.2): its length in bits, then its bytes.
func mpi(b []byte) []byte {
	b = bytes.TrimLeft(b, "\x00")
	n := len(b) * 8
	if n > 0 {
		for top := b[0]; top&0x80 == 0; top <<= 1 {
			n--
		}
	}
	return append([]byte{byte(n >> 8), byte(n)}, b...)
}

// newFrame returns a packet with a new-format header of five bytes of length.
func newFrame(t tag, body []byte) frame {
	raw := append([]byte{0xc0 | byte(t), 0xff}, binary.BigEndian.AppendUint32(nil, uint32(len(body)))...)
	raw = append(raw, body...)
	return frame{tag: t, raw: raw, body: raw[6:]}
}
