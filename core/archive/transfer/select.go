package transfer

import (
	"fmt"
	"regexp"
	"strings"

	"aptless/core/archive/keyring"
	"aptless/core/archive/publish"
	"aptless/core/archive/snapshot"
	"aptless/core/engine/named"
)

// Rename gives objects other names: each text is NAME=NEW or KIND/NAME=NEW. A renamed
// object is a copy: it has a UUID of its own, the same at each call, and the other objects
// refer to it. A publication has the name PREFIX/DISTRIBUTION.
func Rename(objects []Object, names []string) error {
	for _, text := range names {
		from, to, ok := strings.Cut(text, "=")
		if !ok || from == "" || to == "" {
			return fmt.Errorf("%q is not NAME=NEW", text)
		}
		found := false
		for i := range objects {
			o := &objects[i]
			if o.Kind() == OfRing || o.Name() != from && o.Kind()+"/"+o.Name() != from {
				continue
			}
			if err := o.rename(objects, to); err != nil {
				return err
			}
			found = true
		}
		if !found {
			return fmt.Errorf("no repo, mirror, snapshot or publication is %s", from)
		}
	}
	return nil
}

// rename renames one object, and changes the references of others to it.
func (o *Object) rename(objects []Object, to string) error {
	if p := o.Publication; p != nil {
		i := strings.LastIndexByte(to, '/')
		if i < 1 || i == len(to)-1 {
			return fmt.Errorf("%q is no name of a publication: PREFIX/DISTRIBUTION, ./stable for example", to)
		}
		p.Settings.Name = publish.Name{Storage: p.Storage, Prefix: to[:i], Distribution: to[i+1:]}
		return nil
	}
	was, from := o.id(), o.Name()
	uuid := named.UUIDOf("import as\x00" + o.Kind() + "\x00" + was + "\x00" + to)
	switch o.Kind() {
	case OfRepo:
		o.Repo.UUID, o.Repo.Name = uuid, to
	case OfMirror:
		o.Mirror.UUID, o.Mirror.Name = uuid, to
	case OfSnapshot:
		o.Snapshot.UUID, o.Snapshot.Name = uuid, to
	}
	for i := range objects {
		if s := objects[i].Snapshot; s != nil {
			for n, src := range s.Sources {
				if src.UUID == was {
					s.Sources[n] = snapshot.Source{UUID: uuid, Name: to}
				}
			}
		}
		if p := objects[i].Publication; p != nil {
			p.follow(was, uuid, from, to)
		}
	}
	return nil
}

// follow changes the references of a publication to a renamed source.
func (p *Publication) follow(was, uuid, from, to string) {
	for name, c := range p.Components {
		if c.UUID == was {
			c.UUID, c.Name = uuid, to
			p.Components[name] = c
			if p.Staged[name] == from {
				p.Staged[name] = to
			}
		}
	}
}

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
