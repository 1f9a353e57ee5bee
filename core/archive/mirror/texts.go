package mirror

import (
	"bytes"
	"context"
	"encoding/binary"
	"iter"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// texts are the stanzas of the packages of a mirror's list. So an update does not read a
// stanza again that is as at the last update. A stanza is known by its digest. The key of
// a record is the index key of a package (pkglist.IndexKey), the value is the digest.
//
// A text counts only for the list that was made of it, with the same settings and keys.
// A nil *texts knows nothing and keeps nothing.
type texts struct {
	store   *lists.Store
	was     *lists.List      // of the last update; empty if there is none that counts
	known   map[keySum]int32 // by digest of a stanza: its key, as an index of ends
	keys    []byte           // one after the other
	ends    []int32
	last    keySum  // digest of the last text
	changes *sorter // by key: the digest, or nothing for a package without one

	// repeated has the keys of packages that stanzas of several texts describe. Of these
	// no text is kept: the list may have any of them.
	repeated map[string]bool
}

// textSum is the beginning of the digest of a text.
type textSum uint64

const noText textSum = 0

func (s keySum) text() textSum { return textSum(binary.BigEndian.Uint64(s[:])) | 1 }

// textsForm says how a stanza becomes a package. A change of deb.PackageFromIndex that
// gives another package for the same stanza needs a new number.
const textsForm = 1

// textsTarget is the average number of texts in a chunk of their list.
const textsTarget = 4096

func textsSchema() lists.Schema { return lists.Schema{Target: textsTarget} }

// load reads the texts of the last update.
func (t *texts) load(ctx context.Context, ref lists.Ref) (err error) {
	t.known, t.keys, t.ends = make(map[keySum]int32, ref.Count), nil, nil
	if t.was, err = t.store.Open(ctx, ref); err != nil {
		return err
	}
	for r, err := range t.was.All(ctx) {
		if err != nil {
			return err
		}
		var sum keySum
		copy(sum[:], r.Val)
		t.known[sum] = int32(len(t.ends))
		t.keys = append(t.keys, r.Key...)
		t.ends = append(t.ends, int32(len(t.keys)))
	}
	return nil
}

// key returns the key of number i.
func (t *texts) key(i int32) []byte {
	start := int32(0)
	if i > 0 {
		start = t.ends[i-1]
	}
	return t.keys[start:t.ends[i]]
}

// find returns the key of the package whose stanza has a text, nil if it is not known.
func (t *texts) find(kind deb.Kind, text []byte) []byte {
	t.last = sumOf(text)
	t.last[0] ^= byte(kind)
	if i, ok := t.known[t.last]; ok {
		return t.key(i)
	}
	return nil
}

// this returns the last text if it is whole, exactly that of a package.
func (t *texts) this(whole bool) textSum {
	if t == nil || !whole {
		return noText
	}
	return t.last.text()
}

// take notes a package that has the last text, or none.
func (t *texts) take(ctx context.Context, key []byte, text textSum) error {
	if t == nil {
		return nil
	}
	if text == noText {
		return t.changes.add(ctx, key, nil)
	}
	return t.changes.add(ctx, key, bytes.Clone(t.last[:]))
}

// repeat notes that another text describes a package, too.
func (t *texts) repeat(key []byte) {
	if t != nil {
		t.repeated[string(key)] = true
	}
}

// complete reports whether there is a text of each package of the list.
func (t *texts) complete(list *pkglist.List) bool { return t != nil && len(t.ends) == list.Count() }

// unlisted calls remove for each package with a text that is not listed.
func (t *texts) unlisted(listed map[keySum]textSum, remove func(key []byte) error) error {
	for i := range t.ends {
		key := t.key(int32(i))
		if _, ok := listed[sumOf(key)]; ok {
			continue
		}
		if err := remove(key); err != nil {
			return err
		}
	}
	return nil
}

// list stores the texts of the new list.
func (t *texts) list(ctx context.Context) (lists.Ref, error) {
	if t == nil {
		return lists.Ref{}, nil
	}
	made, err := t.store.Edit(ctx, textsSchema(), t.was, t.edits(t.changes.all(ctx)))
	if err != nil {
		return lists.Ref{}, err
	}
	return made.Ref(), nil
}

// edits yields an edit for each change. A package without a text has no record.
func (t *texts) edits(changes iter.Seq2[lists.Record, error]) iter.Seq2[lists.Edit, error] {
	return func(yield func(lists.Edit, error) bool) {
		for r, err := range changes {
			edit := lists.Delete(r.Key)
			if len(r.Val) > 0 && !t.repeated[string(r.Key)] {
				edit = lists.Put(r.Key, r.Val)
			}
			if !yield(edit, err) || err != nil {
				return
			}
		}
	}
}
