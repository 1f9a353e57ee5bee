package fsck

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/named"
)

// head is the part of the row of an object that its neighbours depend on.
type head struct {
	UUID, Name string
	SourceKind string                                   // of a snapshot: the values of aptly's API
	Sources    []struct{ UUID, Name string }            // of a snapshot
	Kind       string                                   // of a publication: "local" or "snapshot"
	Components byComponent[struct{ UUID, Name string }] // of a publication

	Storage, Prefix, Distribution string
}

// byComponent are values by component. A mirror's row has a list of names in this place:
// it is read as no values.
type byComponent[T any] map[string]T

// UnmarshalJSON implements json.Unmarshaler.
func (m *byComponent[T]) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return nil
	}
	return json.Unmarshal(data, (*map[string]T)(m))
}

// parts are the partitions of objects with a UUID and a name.
func parts() []string { return []string{"mirror", "repo", "snapshot"} }

// partOf returns the partition of the sources of an object, by their kind.
func partOf(kind string, ofSnapshot bool) string {
	switch {
	case ofSnapshot && kind == "repo":
		return "mirror"
	case kind == "local":
		return "repo"
	}
	return "snapshot"
}

// title names an object for people.
func title(part string, h head) string {
	if part != "publish" {
		return part + " " + h.Name
	}
	place := h.Prefix
	if h.Storage != "" {
		place = h.Storage + ":" + place
	}
	return "publication " + place + "/" + h.Distribution
}

// rows checks objects, names and references.
func (k *check) rows(ctx context.Context) error {
	heads := map[string]map[string]head{}
	for _, part := range append(parts(), "publish") {
		heads[part] = map[string]head{}
		for row, err := range k.Table.Scan(ctx, part, "") {
			if err != nil {
				return err
			}
			k.state.Report.Checked.Rows++
			var h head
			if err := json.Unmarshal(row.Data, &h); err != nil || part != "publish" && h.UUID != row.Sort || part == "publish" && h.Distribution == "" {
				k.found(Finding{Kind: DamagedRow, Object: row.Key.String()})
				continue
			}
			heads[part][row.Sort] = h
		}
	}
	for _, part := range parts() {
		if err := k.names(ctx, part, heads[part]); err != nil {
			return err
		}
	}
	return k.references(ctx, heads)
}

// names compares the rows of names with those of their objects.
func (k *check) names(ctx context.Context, part string, heads map[string]head) error {
	named := map[string]string{}
	for row, err := range k.Table.Scan(ctx, part+"-name", "") {
		if err != nil {
			return err
		}
		k.state.Report.Checked.Rows++
		named[row.Sort] = string(row.Data)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if heads[named[name]].Name == name {
			continue
		}
		if err := k.strayName(ctx, driver.Key{Part: part + "-name", Sort: name}, named[name]); err != nil {
			return err
		}
	}
	for _, uuid := range slices.Sorted(maps.Keys(heads)) {
		if named[heads[uuid].Name] == uuid {
			continue
		}
		if err := k.missingName(ctx, part, heads[uuid]); err != nil {
			return err
		}
	}
	return nil
}

// strayName reports a name whose row names a UUID, if no object with both exists now.
func (k *check) strayName(ctx context.Context, key driver.Key, uuid string) error {
	row, ok, err := k.is(ctx, key)
	if err != nil || !ok || string(row.Data) != uuid {
		return err // it has moved since
	}
	of := driver.Key{Part: strings.TrimSuffix(key.Part, "-name"), Sort: uuid}
	row, ok, err = k.is(ctx, of)
	if err != nil || ok && nameOf(row) == key.Sort {
		return err // it was created since
	}
	k.found(Finding{Kind: StrayName, Object: key.String(), Detail: "it names " + uuid})
	return nil
}

// missingName reports an object whose name leads elsewhere, or nowhere.
func (k *check) missingName(ctx context.Context, part string, h head) error {
	key := driver.Key{Part: part + "-name", Sort: h.Name}
	row, ok, err := k.is(ctx, key)
	if err != nil || ok && string(row.Data) == h.UUID {
		return err
	}
	now, there, err := k.is(ctx, driver.Key{Part: part, Sort: h.UUID})
	if err != nil || !there || nameOf(now) != h.Name {
		return err // it was dropped or renamed since
	}
	f := Finding{Kind: MissingName, Object: key.String(), Of: title(part, h)}
	if !ok {
		if f.Repaired, err = k.put(ctx, key, h.UUID); err != nil {
			return err
		}
	}
	k.found(f)
	return nil
}

// nameOf returns the name of an object by its row, "" for a damaged row.
func nameOf(row driver.Row) string {
	var h head
	if json.Unmarshal(row.Data, &h) != nil {
		return ""
	}
	return h.Name
}

// references compares the rows of references with the objects that make them.
func (k *check) references(ctx context.Context, heads map[string]map[string]head) error {
	wanted := map[driver.Key]string{} // the object that refers, for people
	for _, uuid := range slices.Sorted(maps.Keys(heads["snapshot"])) {
		h := heads["snapshot"][uuid]
		for _, src := range h.Sources {
			wanted[named.RefKey(partOf(h.SourceKind, true), src.UUID, "snapshot/"+uuid)] = title("snapshot", h)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(heads["publish"])) {
		h := heads["publish"][id]
		part := partOf(h.Kind, false)
		for _, c := range slices.Sorted(maps.Keys(h.Components)) {
			src := h.Components[c]
			if _, ok := heads[part][src.UUID]; !ok {
				if err := k.missingSource(ctx, part, id, src.UUID, fmt.Sprintf("component %s: %s %s", c, part, src.Name)); err != nil {
					return err
				}
			}
			wanted[named.RefKey(part, src.UUID, "publish/"+id)] = title("publish", h)
		}
	}
	for _, part := range parts() {
		for _, uuid := range slices.Sorted(maps.Keys(heads[part])) {
			if err := k.referencesTo(ctx, part, uuid, wanted); err != nil {
				return err
			}
		}
	}
	return nil
}

// missingSource reports a source that a publication has and that does not exist.
func (k *check) missingSource(ctx context.Context, part, id, uuid, detail string) error {
	if _, ok, err := k.is(ctx, driver.Key{Part: part, Sort: uuid}); ok || err != nil {
		return err
	}
	var h head
	row, ok, err := k.is(ctx, driver.Key{Part: "publish", Sort: id})
	if err != nil || !ok || json.Unmarshal(row.Data, &h) != nil {
		return err
	}
	if !slices.ContainsFunc(slices.Collect(maps.Values(h.Components)), func(c struct{ UUID, Name string }) bool { return c.UUID == uuid }) {
		return nil // it was switched since
	}
	k.found(Finding{Kind: MissingSource, Object: part + "/" + uuid, Of: title("publish", h), Detail: detail})
	return nil
}

// referencesTo compares the references to one object.
func (k *check) referencesTo(ctx context.Context, part, uuid string, wanted map[driver.Key]string) error {
	refs := named.RefKey(part, uuid, "x").Part
	has := map[driver.Key]bool{}
	for row, err := range k.Table.Scan(ctx, refs, "") {
		if err != nil {
			return err
		}
		k.state.Report.Checked.Rows++
		has[row.Key] = true
		if _, ok := wanted[row.Key]; ok {
			continue
		}
		if err := k.reference(ctx, row.Key, uuid, Finding{Kind: StrayReference, Object: row.Key.String()}); err != nil {
			return err
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(wanted), driver.Key.Compare) {
		if key.Part != refs || has[key] {
			continue
		}
		if err := k.reference(ctx, key, uuid, Finding{Kind: MissingReference, Object: key.String(), Of: wanted[key]}); err != nil {
			return err
		}
	}
	return nil
}

// reference reports a finding on a reference if it still holds. Either the row is missing
// though the object refers, or it is there though the object does not.
func (k *check) reference(ctx context.Context, key driver.Key, uuid string, f Finding) error {
	_, there, err := k.is(ctx, key)
	if err != nil {
		return err
	}
	refers, err := k.refers(ctx, key.Sort, uuid)
	if err != nil || there == refers || there != (f.Kind == StrayReference) {
		return err
	}
	if f.Kind == MissingReference {
		if f.Repaired, err = k.put(ctx, key, "{}"); err != nil {
			return err
		}
	}
	k.found(f)
	return nil
}

// refers reports whether an object, such as "snapshot/<uuid>", has a source now.
func (k *check) refers(ctx context.Context, by, uuid string) (bool, error) {
	part, sort, _ := strings.Cut(by, "/")
	row, ok, err := k.is(ctx, driver.Key{Part: part, Sort: sort})
	if err != nil || !ok {
		return false, err
	}
	var h head
	if json.Unmarshal(row.Data, &h) != nil {
		return true, nil // the row is damaged, and reported as such
	}
	for _, src := range h.Sources {
		if src.UUID == uuid {
			return true, nil
		}
	}
	for _, src := range h.Components {
		if src.UUID == uuid {
			return true, nil
		}
	}
	return false, nil
}
