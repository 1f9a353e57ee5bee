package apt

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// maxPlain bounds a decompressed index, in bytes.
const maxPlain = 1 << 30

// stanza is one paragraph: fields by lower-case name. Continuation lines keep their line
// breaks.
type stanza map[string]string

// stanzas parses a file of paragraphs strictly. A repeated field, a line that is neither
// field nor continuation, and an empty field name are errors.
func stanzas(text string) ([]stanza, error) {
	var all []stanza
	var s stanza
	last := ""
	if text != "" && !strings.HasSuffix(text, "\n") {
		return nil, errors.New("the last line has no end")
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "":
			if s != nil {
				all, s, last = append(all, s), nil, ""
			}
		case line[0] == ' ' || line[0] == '\t':
			if last == "" {
				return nil, fmt.Errorf("line %d continues nothing", n)
			}
			s[last] += "\n" + line
		default:
			name, value, ok := strings.Cut(line, ":")
			name = strings.ToLower(name)
			if !ok || name == "" || strings.ContainsAny(name, " \t") {
				return nil, fmt.Errorf("line %d is not a field: %q", n, line)
			}
			if s == nil {
				s = stanza{}
			}
			if _, twice := s[name]; twice {
				return nil, fmt.Errorf("line %d: field %s twice", n, name)
			}
			s[name], last = strings.TrimSpace(value), name
		}
	}
	if s != nil {
		all = append(all, s)
	}
	return all, nil
}

// file is a file listed in an index.
type file struct {
	size int64
	sums map[string]string // digests by the algorithm's name in by-hash folders
}

// parseSums parses lines "digest size name" into files.
func parseSums(value, algorithm string, files map[string]file) error {
	for line := range strings.Lines(value) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 {
			return fmt.Errorf("%s: %q is not digest, size and name", algorithm, line)
		}
		size, err := parseSize(words[1])
		if err != nil {
			return fmt.Errorf("%s of %s: %w", algorithm, words[2], err)
		}
		name := words[2]
		if err := checkPath(name); err != nil {
			return err
		}
		f, ok := files[name]
		if !ok {
			f = file{size, map[string]string{}}
		}
		if f.size != size {
			return fmt.Errorf("%s is announced with %d and with %d bytes", name, f.size, size)
		}
		if _, twice := f.sums[algorithm]; twice {
			return fmt.Errorf("%s lists %s twice", algorithm, name)
		}
		f.sums[algorithm] = words[0]
		files[name] = f
	}
	return nil
}

func parseSize(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("size %q", s)
	}
	return int64(n), nil
}

// checkPath refuses a path that leads out of the tree.
func checkPath(p string) error {
	if p == "" || p[0] == '/' || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") {
		return fmt.Errorf("path %q", p)
	}
	return nil
}

// cleartext returns the text of a clearsigned message (RFC 4880 7), without the line break
// that belongs to the signature. Text before or after the message is an error.
func cleartext(msg string) (string, error) {
	const head, tail, end = "-----BEGIN PGP SIGNED MESSAGE-----\n", "\n-----BEGIN PGP SIGNATURE-----\n", "\n-----END PGP SIGNATURE-----\n"
	rest, ok := strings.CutPrefix(msg, head)
	if !ok {
		return "", errors.New("does not begin as a signed message")
	}
	if strings.HasPrefix(rest, "\n") { // no headers
		rest = rest[1:]
	} else if _, rest, ok = strings.Cut(rest, "\n\n"); !ok {
		return "", errors.New("no text after the headers")
	}
	text, sig, ok := strings.Cut(rest, tail)
	if !ok || strings.Count(rest, tail) != 1 {
		return "", errors.New("not exactly one signature")
	}
	if _, after, ok := strings.Cut(sig, end); !ok || after != "" {
		return "", errors.New("the signature is not where the file ends")
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimPrefix(line, "- "))
	}
	return b.String(), nil
}

// suffixes are the suffixes of compressed indexes.
var suffixes = []string{".gz", ".xz", ".bz2", ".zst"}

// splitSuffix splits the compression's suffix off an index's name.
func splitSuffix(name string) (plain, suffix string) {
	for _, s := range suffixes {
		if p, ok := strings.CutSuffix(name, s); ok {
			return p, s
		}
	}
	return name, ""
}

// decompress decompresses b by the suffix of its name.
func decompress(b []byte, suffix string) ([]byte, error) {
	var r io.Reader
	var err error
	switch suffix {
	case "":
		return b, nil
	case ".gz":
		r, err = gzip.NewReader(bytes.NewReader(b))
	case ".xz":
		r, err = xz.NewReader(bytes.NewReader(b), 0)
	case ".bz2":
		r = bzip2.NewReader(bytes.NewReader(b))
	case ".zst":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(b)); err == nil {
			defer d.Close()
			r = d
		}
	}
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxPlain+1))
	if err == nil && len(plain) > maxPlain {
		err = fmt.Errorf("more than %d bytes", maxPlain)
	}
	return plain, err
}
