package aptly

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// Limits of a value of the database.
const (
	maxValue = 64 << 20 // bytes
	maxDepth = 16
)

var errValue = errors.New("not a msgpack value of aptly")

// decoder reads msgpack (github.com/msgpack/msgpack/blob/master/spec.md). Texts are
// strings, whether the writer called them raw, binary or text. An extension is its bytes.
type decoder struct {
	rest []byte
}

// decode reads one value, which must be all of data. Maps have string keys.
func decode(data []byte) (any, error) {
	if len(data) > maxValue {
		return nil, fmt.Errorf("%d bytes: %w", len(data), errValue)
	}
	d := decoder{data}
	v, err := d.value(0)
	if err == nil && len(d.rest) > 0 {
		err = fmt.Errorf("%d bytes follow: %w", len(d.rest), errValue)
	}
	return v, err
}

func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.rest) {
		return nil, fmt.Errorf("it ends early: %w", errValue)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b, nil
}

// number reads a big-endian number of n bytes.
func (d *decoder) number(n int) (uint64, error) {
	b, err := d.take(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[8-n:], b)
	return binary.BigEndian.Uint64(full[:]), nil
}

func (d *decoder) text(n uint64) (any, error) {
	if n > maxValue {
		return nil, fmt.Errorf("text of %d bytes: %w", n, errValue)
	}
	b, err := d.take(int(n))
	return string(b), err
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("deeper than %d: %w", maxDepth, errValue)
	}
	head, err := d.take(1)
	if err != nil {
		return nil, err
	}
	switch b := head[0]; {
	case b < 0x80:
		return int64(b), nil
	case b < 0x90:
		return d.fields(uint64(b&0x0f), depth)
	case b < 0xa0:
		return d.array(uint64(b&0x0f), depth)
	case b < 0xc0:
		return d.text(uint64(b & 0x1f))
	case b >= 0xe0:
		return int64(int8(b)), nil
	default:
		return d.marked(b, depth)
	}
}

// sized are the forms that begin with a length: the number of its bytes, and whether a
// byte with the type of an extension follows.
var sized = map[byte]struct {
	bytes int
	ext   bool
}{
	0xc4: {1, false}, 0xc5: {2, false}, 0xc6: {4, false}, 0xd9: {1, false}, 0xda: {2, false}, 0xdb: {4, false},
	0xc7: {1, true}, 0xc8: {2, true}, 0xc9: {4, true},
}

// marked reads a value after a byte from 0xc0 to 0xdf.
func (d *decoder) marked(b byte, depth int) (any, error) {
	if s, ok := sized[b]; ok {
		n, err := d.number(s.bytes)
		if err == nil && s.ext {
			_, err = d.take(1)
		}
		if err != nil {
			return nil, err
		}
		return d.text(n)
	}
	switch b {
	case 0xc0:
		return nil, nil
	case 0xc2, 0xc3:
		return b == 0xc3, nil
	case 0xca:
		n, err := d.number(4)
		return float64(math.Float32frombits(uint32(n))), err
	case 0xcb:
		n, err := d.number(8)
		return math.Float64frombits(n), err
	case 0xcc, 0xcd, 0xce, 0xcf:
		return d.number(1 << (b - 0xcc))
	case 0xd0, 0xd1, 0xd2, 0xd3:
		bytes := 1 << (b - 0xd0)
		n, err := d.number(bytes)
		return int64(n<<(64-8*bytes)) >> (64 - 8*bytes), err
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // an extension of a fixed length
		if _, err := d.take(1); err != nil {
			return nil, err
		}
		return d.text(1 << (b - 0xd4))
	case 0xdc, 0xdd, 0xde, 0xdf:
		n, err := d.number(2 << (b & 1))
		if err != nil {
			return nil, err
		}
		if b >= 0xde {
			return d.fields(n, depth)
		}
		return d.array(n, depth)
	}
	return nil, fmt.Errorf("byte %#x: %w", b, errValue)
}

func (d *decoder) array(n uint64, depth int) (any, error) {
	if n > uint64(len(d.rest)) { // each element has a byte
		return nil, fmt.Errorf("array of %d: %w", n, errValue)
	}
	list := make([]any, 0, min(n, 1024))
	for range n {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (d *decoder) fields(n uint64, depth int) (any, error) {
	if 2*n > uint64(len(d.rest)) {
		return nil, fmt.Errorf("map of %d: %w", n, errValue)
	}
	m := make(map[string]any, min(n, 1024))
	for range n {
		key, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("key of the type %T: %w", key, errValue)
		}
		if m[name], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// fields are the fields of a record. A field that is absent or of another type is zero.
type fields map[string]any

// record reads a value that is a map.
func record(data []byte) (fields, error) {
	v, err := decode(data)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%T in place of a map: %w", v, errValue)
	}
	return m, nil
}

func (f fields) text(name string) string { s, _ := f[name].(string); return s }
func (f fields) flag(name string) bool   { b, _ := f[name].(bool); return b }

func (f fields) number(name string) int64 {
	switch n := f[name].(type) {
	case int64:
		return n
	case uint64:
		return int64(min(n, math.MaxInt64))
	}
	return 0
}

func (f fields) texts(name string) []string {
	var list []string
	all, _ := f[name].([]any)
	for _, v := range all {
		if s, ok := v.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

func (f fields) of(name string) fields {
	m, _ := f[name].(map[string]any)
	return m
}

// pairs returns a map of texts.
func (f fields) pairs(name string) map[string]string {
	m := map[string]string{}
	for k, v := range f.of(name) {
		if s, ok := v.(string); ok {
			m[k] = s
		}
	}
	return m
}

// time reads a time: a timestamp of msgpack of 4, 8 or 12 bytes, or the binary form of
// Go's time of 15 or 16. Another form is the zero time.
func (f fields) time(name string) time.Time {
	raw := []byte(f.text(name))
	switch len(raw) {
	case 4:
		return time.Unix(int64(binary.BigEndian.Uint32(raw)), 0).UTC()
	case 8:
		n := binary.BigEndian.Uint64(raw)
		return time.Unix(int64(n&(1<<34-1)), int64(n>>34)).UTC()
	case 12:
		return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), int64(binary.BigEndian.Uint32(raw))).UTC()
	case 15, 16:
		var t time.Time
		if t.UnmarshalBinary(raw) == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
