package apptest

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/archive/snapshot"
	"aptless/core/engine/driver/drivertest"
)

// Referring returns the rows of repositories, mirrors, snapshots and publications,
// with their names and references.
func Referring(memory *drivertest.Memory) map[string]string {
	state := map[string]string{}
	for _, part := range []string{"snapshot", "repo", "mirror", "publish", "ref/"} {
		maps.Copy(state, memory.Rows(part))
	}
	return state
}

// dangles reports whether one end of a reference is missing.
func dangles(state map[string]string, reference string) bool {
	target, by, ok := strings.Cut(reference, "/publish/")
	if ok {
		by = "publish/" + by
	} else {
		target, by, ok = strings.Cut(strings.TrimPrefix(reference, "snapshot/"), "/snapshot/")
		by = "snapshot/" + by
	}
	_, there := state[by]
	_, published := state[target]
	return !ok || !there || strings.HasPrefix(by, "publish/") && !published
}

// Fits checks the references between rows. Each name has its row, each reference has
// both ends, and each source of a publication exists.
func Fits(state map[string]string) error {
	for key, data := range state {
		part, sort, _ := strings.Cut(key, "/")
		switch part {
		case "snapshot", "repo", "mirror":
			var row struct{ UUID, Name string }
			if err := json.Unmarshal([]byte(data), &row); err != nil || row.UUID != sort || state[part+"-name/"+row.Name] != sort {
				return fmt.Errorf("%s has no name of its own (error %v)", key, err)
			}
		case "snapshot-name", "repo-name", "mirror-name":
			if _, ok := state[strings.TrimSuffix(part, "-name")+"/"+data]; !ok {
				return fmt.Errorf("%s is of nothing", key)
			}
		case "mirror-secret":
			if _, ok := state["mirror/"+sort]; !ok {
				return fmt.Errorf("%s is of no mirror", key)
			}
		case "ref":
			if dangles(state, sort) {
				return fmt.Errorf("%s dangles", key)
			}
		case "publish":
			var r publish.Publication
			if err := json.Unmarshal([]byte(data), &r); err != nil {
				return err
			}
			if err := published(state, key, r); err != nil {
				return err
			}
		}
	}
	return made(state)
}

// published checks that each source of a publication exists and has a reference row.
func published(state map[string]string, key string, r publish.Publication) error {
	for _, c := range r.Components {
		kind := map[publish.SourceKind]string{publish.Local: "repo", publish.Snapshot: "snapshot"}[r.Kind]
		_, there := state[kind+"/"+c.UUID]
		_, referred := state["ref/"+kind+"/"+c.UUID+"/"+key]
		if !there || !referred {
			return fmt.Errorf("%s publishes %s, which is there: %v, and referred to: %v", key, c.UUID, there, referred)
		}
	}
	return nil
}

// made checks that each snapshot has a reference row for every source.
func made(state map[string]string) error {
	for key, data := range state {
		if !strings.HasPrefix(key, "snapshot/") {
			continue
		}
		var row snapshot.Snapshot
		if err := json.Unmarshal([]byte(data), &row); err != nil {
			return err
		}
		for _, src := range row.Sources {
			kind := map[string]string{snapshot.OfRepo: "repo", snapshot.OfMirror: "mirror", snapshot.OfSnapshots: "snapshot"}[row.SourceKind]
			if _, ok := state["ref/"+kind+"/"+src.UUID+"/"+key]; !ok {
				return fmt.Errorf("%s does not refer to its source %s", key, src.Name)
			}
		}
	}
	return nil
}
