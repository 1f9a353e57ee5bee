package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fault is a fault of a chain, as a Verifier reports it.
type Fault struct {
	ID   string // of the record at which the fault shows
	What string
}

func (f Fault) String() string { return f.ID + ": " + f.What }

// Verifier checks the chains of streams. Its caller adds records in the order of time.
type Verifier struct {
	// Partial says that earlier records are not added, so a stream may begin with any
	// number.
	Partial bool
	Faults  []Fault
	Records int
	streams map[string]Record
	firsts  map[string]Record // of streams whose first added record is not their first one
	ends    map[string][]End  // of removed records, by stream
}

// Add checks the next record against its own hash and the last record of its stream.
func (v *Verifier) Add(r Record) {
	if v.streams == nil {
		v.streams, v.firsts, v.ends = map[string]Record{}, map[string]Record{}, map[string][]End{}
	}
	for _, end := range r.Ends {
		v.ends[end.Stream] = append(v.ends[end.Stream], end)
	}
	v.Records++
	if r.digest() != r.Hash {
		v.Faults = append(v.Faults, Fault{r.ID, "the record was changed"})
	}
	name, number := split(r.ID)
	last, known := v.streams[name]
	_, before := split(last.ID)
	switch {
	case !known && number != 1:
		v.firsts[name] = r
	case known && number != before+1:
		v.Faults = append(v.Faults, Fault{r.ID, fmt.Sprintf("it does not follow %s: records are missing, or it was put between", last.ID)})
	case known && r.Prev != last.Hash:
		v.Faults = append(v.Faults, Fault{r.ID, fmt.Sprintf("it was not written after %s as that is now", last.ID)})
	}
	v.streams[name] = r
}

// Finish checks the beginnings of streams, after the last record. A stream continues the
// end that an Expired record has of it.
func (v *Verifier) Finish() {
	for _, name := range slices.Sorted(maps.Keys(v.firsts)) {
		first := v.firsts[name]
		_, number := split(first.ID)
		i := slices.IndexFunc(v.ends[name], func(e End) bool { return e.Number == number-1 })
		switch {
		case i >= 0 && v.ends[name][i].Hash != first.Prev:
			v.Faults = append(v.Faults, Fault{first.ID, "it was not written after the record before it, which has expired"})
		case i < 0 && (!v.Partial || len(v.ends[name]) > 0):
			v.Faults = append(v.Faults, Fault{first.ID, "the records before it are missing"})
		}
	}
}

// split returns the stream and the number of an ID.
func split(id string) (stream string, number int64) {
	stream, text, _ := strings.Cut(id, "-")
	fmt.Sscanf(text, "%d", &number)
	return stream, number
}
