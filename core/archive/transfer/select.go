package transfer

import (
	"fmt"
	"regexp"
	"strings"

	"aptless/core/archive/keyring"
)

// Select returns the objects that patterns name, in their order, with all that they need:
// the sources of publications, and the keyrings of mirrors. A pattern is a kind, a slash
// and a name, in which a star is any text: repo/tools, publication/./stable. Each pattern
// must name an object.
func Select(objects []Object, patterns []string) ([]Object, error) {
	chosen := map[string]bool{}
	for _, text := range patterns {
		kind, name, _ := strings.Cut(text, "/")
		pattern, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, ".*") + "$")
		if err != nil {
			return nil, err
		}
		found := false
		for i := range objects {
			if o := &objects[i]; o.Kind() == kind && pattern.MatchString(o.Name()) {
				chosen[o.id()], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no object is %s: keyring, repo, mirror, snapshot or publication, a slash, and a name", text)
		}
	}
	need(objects, chosen)
	var all []Object
	for _, o := range objects {
		if chosen[o.id()] {
			all = append(all, o)
		}
	}
	return all, nil
}

// need adds the sources of chosen publications, and the keyrings of chosen mirrors.
func need(objects []Object, chosen map[string]bool) {
	for i := range objects {
		if p := objects[i].Publication; p != nil && chosen[objects[i].id()] {
			for _, c := range p.Components {
				chosen[c.UUID] = true
			}
		}
	}
	for i := range objects {
		m := objects[i].Mirror
		if m == nil || !chosen[m.UUID] {
			continue
		}
		chosen[keyring.Default] = true
		if m.Schedule == nil {
			continue
		}
		for _, name := range m.Schedule.Keyrings {
			if clean, err := keyring.CleanName(name); err == nil {
				chosen[clean] = true
			}
		}
	}
}
