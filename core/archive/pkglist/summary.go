package pkglist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Count says how many packages of an architecture and a kind there are.
type Count struct {
	Architecture string
	Kind         deb.Kind
	Packages     int
}

func compareCounts(a, b Count) int {
	return cmp.Or(cmp.Compare(a.Architecture, b.Architecture), cmp.Compare(a.Kind, b.Kind))
}

// countUp adds n to the entry for arch and kind. There are few: a search is
// faster than a map.
func countUp(counts []Count, arch string, kind deb.Kind, n int) []Count {
	for i := range counts {
		if c := &counts[i]; c.Kind == kind && c.Architecture == arch {
			c.Packages += n
			return counts
		}
	}
	return append(counts, Count{arch, kind, n})
}

// summarise is the summary of a chunk: the number of its Counts; of each,
// ascending by architecture and kind, the length of the architecture, it, the
// kind, and the number; then what the chunk provides, as appendProvided has it.
// Numbers are unsigned varints but for the kind, a byte.
func summarise(records []lists.Record) []byte {
	var counts []Count
	var names []uint32
	for _, r := range records {
		// What was written here parses: the keys come from recordKey.
		id, err := parseRecord(r)
		if err != nil {
			continue
		}
		counts = countUp(counts, id.arch, id.kind, 1)
		items, err := deb.RecordProvides(r.Val[valueHead:])
		if err != nil {
			continue
		}
		for _, item := range items {
			if r, err := deb.ParseRelation(item); err == nil {
				names = append(names, nameHash(r.Name))
			}
		}
	}
	slices.SortFunc(counts, compareCounts)
	summary := binary.AppendUvarint(nil, uint64(len(counts)))
	for _, c := range counts {
		summary = binary.AppendUvarint(summary, uint64(len(c.Architecture)))
		summary = append(append(summary, c.Architecture...), byte(c.Kind))
		summary = binary.AppendUvarint(summary, uint64(c.Packages))
	}
	return appendProvided(summary, names)
}

func parseSummary(summary []byte) ([]Count, provided, error) {
	damaged := func() ([]Count, provided, error) {
		return nil, provided{}, fmt.Errorf("summary %.100x: %w", summary, lists.ErrDamaged)
	}
	number, size := binary.Uvarint(summary)
	if size <= 0 || number > uint64(len(summary)) {
		return damaged()
	}
	rest := summary[size:]
	counts := make([]Count, number)
	for i := range counts {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > deb.MaxArchitectureLen || int(n)+1 > len(rest)-size {
			return damaged()
		}
		rest = rest[size:]
		c := Count{Architecture: string(rest[:n]), Kind: deb.Kind(rest[n])}
		rest = rest[n+1:]
		n, size = binary.Uvarint(rest)
		if size <= 0 || n == 0 || n > lists.MaxRecords || c.Kind > deb.Installer ||
			i > 0 && compareCounts(counts[i-1], c) >= 0 {
			return damaged()
		}
		c.Packages, rest = int(n), rest[size:]
		counts[i] = c
	}
	p, ok := parseProvided(rest)
	if !ok {
		return damaged()
	}
	return counts, p, nil
}

// nameHash is 32-bit FNV-1a, folded to hashSize bytes.
func nameHash(name string) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h>>24 ^ h&0xffffff
}

const hashSize = 3 // bytes

// maxProvided is how many names the summary of a chunk has, 48 KiB. Of a chunk
// that provides more it says nothing.
const maxProvided = 16 << 10

// provided says which names the packages of a chunk provide: their hashes,
// ascending, hashSize bytes each.
type provided struct {
	hashes []byte
	many   bool // more than maxProvided: it may be any
}

// appendProvided appends the number of hashes and them; for too many only
// maxProvided+1. It sorts them.
func appendProvided(dst []byte, hashes []uint32) []byte {
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	if len(hashes) > maxProvided {
		return binary.AppendUvarint(dst, maxProvided+1)
	}
	dst = binary.AppendUvarint(dst, uint64(len(hashes)))
	for _, h := range hashes {
		dst = append(dst, byte(h>>16), byte(h>>8), byte(h))
	}
	return dst
}

// parseProvided reads what appendProvided writes; it is all of b.
func parseProvided(b []byte) (p provided, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > maxProvided+1 {
		return provided{}, false
	}
	b = b[size:]
	if n > maxProvided {
		return provided{many: true}, len(b) == 0
	}
	for i := hashSize; i < len(b); i += hashSize {
		if i+hashSize > len(b) || bytes.Compare(b[i-hashSize:i], b[i:i+hashSize]) >= 0 {
			return provided{}, false
		}
	}
	return provided{hashes: b}, len(b) == int(n)*hashSize
}

// may reports whether a package of the chunk may provide name.
func (p provided) may(name string) bool {
	h := nameHash(name)
	want := []byte{byte(h >> 16), byte(h >> 8), byte(h)}
	_, found := sort.Find(len(p.hashes)/hashSize, func(i int) int {
		return bytes.Compare(want, p.hashes[i*hashSize:(i+1)*hashSize])
	})
	return found || p.many
}
