package pkglist

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"aptless/core/chunks"
	"aptless/core/deb"
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

// summarise is the summary of a chunk: of each Count, ascending by architecture
// and kind, the length of the architecture, it, the kind, and the number, as
// unsigned varints but for the kind, a byte.
func summarise(records []chunks.Record) []byte {
	var counts []Count
	for _, r := range records {
		// What was written here parses: the keys come from recordKey.
		if id, err := parseRecord(r); err == nil {
			counts = countUp(counts, id.arch, id.kind, 1)
		}
	}
	slices.SortFunc(counts, compareCounts)
	var summary []byte
	for _, c := range counts {
		summary = binary.AppendUvarint(summary, uint64(len(c.Architecture)))
		summary = append(append(summary, c.Architecture...), byte(c.Kind))
		summary = binary.AppendUvarint(summary, uint64(c.Packages))
	}
	return summary
}

func parseSummary(summary []byte) ([]Count, error) {
	var counts []Count
	for rest := summary; len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > deb.MaxArchitectureLen || int(n)+1 > len(rest)-size {
			return nil, fmt.Errorf("summary %.100x: %w", summary, chunks.ErrDamaged)
		}
		rest = rest[size:]
		c := Count{Architecture: string(rest[:n]), Kind: deb.Kind(rest[n])}
		rest = rest[n+1:]
		n, size = binary.Uvarint(rest)
		if size <= 0 || n == 0 || n > chunks.MaxRecords || c.Kind > deb.Installer ||
			len(counts) > 0 && compareCounts(counts[len(counts)-1], c) >= 0 {
			return nil, fmt.Errorf("summary %.100x: %w", summary, chunks.ErrDamaged)
		}
		c.Packages, rest = int(n), rest[size:]
		counts = append(counts, c)
	}
	return counts, nil
}
