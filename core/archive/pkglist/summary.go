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

// Count is the number of packages of an architecture and a kind.
type Count struct {
	Architecture string
	Kind         deb.Kind
	Packages     int
}

func compareCounts(a, b Count) int {
	return cmp.Or(cmp.Compare(a.Architecture, b.Architecture), cmp.Compare(a.Kind, b.Kind))
}

// countUp adds n to the Count of arch and kind. There are few Counts, so a linear search
// is faster than a map.
func countUp(counts []Count, arch string, kind deb.Kind, n int) []Count {
	for i := range counts {
		if c := &counts[i]; c.Kind == kind && c.Architecture == arch {
			c.Packages += n
			return counts
		}
	}
	return append(counts, Count{arch, kind, n})
}

// summarise makes the summary of a chunk. It begins with the number of Counts. Each Count,
// ascending by architecture and kind, is the length of the architecture, the
// architecture, the kind (a byte) and the number. The provided names follow, as
// appendProvided writes them. Numbers are unsigned varints.
func summarise(records []lists.Record) []byte {
	var counts []Count
	var names []uint32
	for _, r := range records {
		// The keys come from recordKey, so they parse.
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

// maxProvided bounds the names in a chunk's summary, 48 KiB. A chunk that provides more
// may provide any name.
const maxProvided = 16 << 10

// provided is the hashes of the names that a chunk's packages provide, ascending, of
// hashSize bytes each.
type provided struct {
	hashes []byte
	many   bool // more than maxProvided, so any name may be provided
}

// appendProvided sorts the hashes and appends their number and the hashes. If there are
// too many, it appends only the number maxProvided+1.
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

// parseProvided reads the output of appendProvided, which must be the whole of b.
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
