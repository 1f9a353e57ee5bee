package snapshot_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aptless/core/archive/query"
	"aptless/core/archive/snapshot"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// model is a naive pull. The base is a map by short key, the selection is in
// index order.
func model(base, selected []*deb.Package, args snapshot.PullArgs) (keys []string, done snapshot.Pulled) {
	there := map[string]*deb.Package{}
	for _, p := range base {
		there[p.ShortKey()] = p
	}
	done = snapshot.Pulled{Added: []string{}, Removed: []string{}}
	seen := map[string]bool{}
	for _, p := range selected {
		id := p.Architecture + "_" + p.Name
		if !seen[id] && !args.NoRemove {
			var matching []*deb.Package
			for _, q := range there {
				if q.Name == p.Name && (q.Architecture == p.Architecture || q.Architecture == "all") {
					matching = append(matching, q)
				}
			}
			slices.SortFunc(matching, byIndex)
			for _, q := range matching {
				done.Removed = append(done.Removed, q.String())
				delete(there, q.ShortKey())
			}
		}
		if !seen[id] || args.AllMatches {
			if there[p.ShortKey()] == nil {
				there[p.ShortKey()] = p
			}
			done.Added = append(done.Added, p.String())
		}
		seen[id] = true
	}
	keys = []string{}
	for _, p := range there {
		keys = append(keys, p.Key())
	}
	slices.Sort(keys)
	return keys, done
}

func byIndex(p, q *deb.Package) int {
	if c := strings.Compare(p.Name, q.Name); c != 0 {
		return c
	}
	if c := deb.CompareVersions(q.Version, p.Version); c != 0 {
		return c
	}
	return strings.Compare(p.Key()[1:], q.Key()[1:]) // architecture first
}

// anyList draws packages with distinct short keys.
func anyList(rt *rapid.T, label string) []*deb.Package {
	byKey := map[string]*deb.Package{}
	for _, id := range rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) string {
		return rapid.SampledFrom([]string{"aa", "bb", "b"}).Draw(rt, "name") + "_" + rapid.SampledFrom([]string{"1", "2", "10"}).Draw(rt, "version") +
			"_" + rapid.SampledFrom([]string{"all", "amd64", "i386"}).Draw(rt, "arch")
	}), 0, 12).Draw(rt, label) {
		p := pack(id, rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "content"))
		byKey[p.ShortKey()] = p
	}
	var list []*deb.Package
	for _, p := range byKey {
		list = append(list, p)
	}
	slices.SortFunc(list, byIndex)
	return list
}

// TestPullEqualsTheModel compares pulls and their dry runs with model.
func TestPullEqualsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base, from := anyList(rt, "base"), anyList(rt, "from")
		r := mirrored(t, map[string][]*deb.Package{"base": base, "from": from})
		r.take(t, "base")
		r.take(t, "from")
		args := snapshot.PullArgs{Base: snapshot.Source{Name: "base"}, From: snapshot.Source{Name: "from"}, Destination: "to",
			Architectures: []string{"amd64", "i386"}, Queries: []string{rapid.SampledFrom([]string{"aa", "Name", "b {amd64}", "bb (>= 2)"}).Draw(rt, "query")},
			AllMatches: rapid.Bool().Draw(rt, "all"), NoRemove: rapid.Bool().Draw(rt, "keep"), NoDeps: rapid.Bool().Draw(rt, "no deps")}
		var selected []*deb.Package
		for _, p := range from {
			forAMD64 := p.Architecture != "i386"
			chosen := map[string]bool{"aa": p.Name == "aa", "Name": true, "b {amd64}": p.Name == "b" && forAMD64, "bb (>= 2)": p.Name == "bb" && p.Version != "1"}
			if chosen[args.Queries[0]] {
				selected = append(selected, p)
			}
		}
		keys, done := model(base, selected, args)
		args.DryRun = true
		spec, err := r.snapshots.CheckPull(t.Context(), args)
		dry := r.run(t, spec, err)
		var told snapshot.Pulled
		if err := json.Unmarshal(dry.Value, &told); err != nil || dry.Code != 200 || !slices.Equal(told.Added, done.Added) || !slices.Equal(told.Removed, done.Removed) {
			rt.Fatalf("told %v, %v, want %v", told, err, done)
		}
		args.DryRun = false
		spec, err = r.snapshots.CheckPull(t.Context(), args)
		if got := r.keys(t, r.made(t, "to", spec, err)); !slices.Equal(got, keys) {
			rt.Fatalf("%v, want %v", got, keys)
		}
	})
}

// TestUnreadableDependencyFailsThePull holds that an unreadable dependency fails the task once.
func TestUnreadableDependencyFailsThePull(t *testing.T) {
	p := pack("aa_1_amd64", "x")
	p.Depends = []string{"b 1)"}
	r := mirrored(t, map[string][]*deb.Package{"m": {p}})
	r.take(t, "m")
	spec, err := r.snapshots.CheckPull(t.Context(), snapshot.PullArgs{Base: snapshot.Source{Name: "m"}, From: snapshot.Source{Name: "m"},
		Destination: "to", Queries: []string{"aa"}})
	got := r.run(t, spec, err)
	if want := "unable to process package aa_1_amd64: "; got.State != task.Failed || got.Code != 500 || !strings.HasPrefix(got.Error, want) || got.Tries != 1 {
		t.Errorf("%d %s after %d tries, want %s…", got.Code, got.Error, got.Tries, want)
	}
	_, err = r.snapshots.Verify(t.Context(), "m", nil, query.Wanted{})
	if err == nil || !strings.HasPrefix(err.Error(), "unable to process package aa_1_amd64: ") {
		t.Errorf("verify: %v", err)
	}
}

// BenchmarkSnapshots makes snapshots of 60,000 packages in memory. There are a
// mirror's, a merge of two that differ in a hundredth, a pull of everything, and
// one by keys.
func BenchmarkSnapshots(b *testing.B) {
	const n = 60_000
	var old, young []*deb.Package
	var keys []string
	for i := range n {
		id := fmt.Sprintf("package-%05d_1.%d-1_amd64", i, i%7)
		p := pack(id, "x")
		p.Depends = []string{fmt.Sprintf("package-%05d", (i*7)%n), "libc6 (>= 2.34)"}
		p.Extra = map[string]string{"Description": " " + strings.Repeat("what it is for ", 20), "Maintainer": "A <a@example.org>"}
		old = append(old, p)
		q := p
		if i%100 == 0 {
			q = pack(fmt.Sprintf("package-%05d_2.0-1_amd64", i), "x")
		}
		young = append(young, q)
		keys = append(keys, q.Key())
	}
	r := mirrored(b, map[string][]*deb.Package{"old": old, "young": young})
	r.record(b, young...)
	r.take(b, "old")
	r.take(b, "young")
	s, i := r.snapshots, 0
	from, into := snapshot.Source{Name: "young"}, snapshot.Source{Name: "old"}
	for name, check := range map[string]func(name string) (task.Spec, error){
		"take": func(name string) (task.Spec, error) { return s.CheckMirror(b.Context(), "old", name, "") },
		"merge": func(name string) (task.Spec, error) {
			return s.CheckMerge(b.Context(), name, []string{"old", "young"}, false, false)
		},
		"latest": func(name string) (task.Spec, error) {
			return s.CheckMerge(b.Context(), name, []string{"old", "young"}, true, false)
		},
		"pull one": func(name string) (task.Spec, error) {
			return s.CheckPull(b.Context(), snapshot.PullArgs{Base: into, From: from, Destination: name, Queries: []string{"package-00100"}, NoDeps: true})
		},
		"pull one with dependencies": func(name string) (task.Spec, error) {
			return s.CheckPull(b.Context(), snapshot.PullArgs{Base: into, From: from, Destination: name, Queries: []string{"package-00100"}})
		},
		"pull all": func(name string) (task.Spec, error) {
			return s.CheckPull(b.Context(), snapshot.PullArgs{Base: into, From: from, Destination: name, Queries: []string{"Name"}, NoDeps: true})
		},
		"filter": func(name string) (task.Spec, error) {
			return s.CheckFilter(b.Context(), snapshot.FilterArgs{From: from, Destination: name, Queries: []string{"Version (>= 1.3)"}})
		},
		"keys": func(name string) (task.Spec, error) { return s.CheckCreate(b.Context(), name, "", nil, keys) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				i++
				made := fmt.Sprint("made-", i)
				spec, err := check(made)
				r.made(b, made, spec, err)
			}
		})
	}
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if missing, err := s.Verify(b.Context(), "young", nil, query.Wanted{}); err != nil || len(missing) != 1 {
				b.Fatalf("%v, %v", missing, err)
			}
		}
	})
}
