package drop

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// file is a file of a place.
type file struct {
	name, key, etag string
	size            int64
	at              time.Time
	text            string // of a .changes or .dsc
}

// unit is the files that one task imports. digests are the SHA-256 that a .changes or .dsc lists, by
// name.
type unit struct {
	files   []file
	digests map[string]string
	list    string // the name of its .changes, which is not imported; "" without
	whole   bool   // a file that cannot be imported refuses all
}

// maxUnit bounds the packages that one task imports on their own.
const maxUnit = 200

// plan is the result of a look at a place.
type plan struct {
	units   []unit
	refused map[string]string // reasons by name
	waiting []file
}

// planner sorts the files of a place.
type planner struct {
	plan
	now   time.Time
	files map[string]file
	used  map[string]bool // files of a unit, and files that one waits for
}

// planOf decides which files are imported together. In a folder a file needs a .changes.
// Elsewhere packages are imported at once, except if a .changes that is there names them.
func planOf(files []file, folder, rules bool, now time.Time) plan {
	p := &planner{now: now, files: map[string]file{}, used: map[string]bool{}, plan: plan{refused: map[string]string{}}}
	for _, f := range files {
		p.files[f.name] = f
	}
	for _, f := range files {
		switch {
		case !strings.HasSuffix(f.name, ".changes"):
		case rules:
			p.refuse(f, "the repository has rules for uploaders, and the drop box does not know who signs: include the file by the API")
		default:
			p.listed(f, true)
		}
	}
	for _, f := range files {
		if !folder && strings.HasSuffix(f.name, ".dsc") && !p.used[f.name] {
			p.listed(f, false)
		}
	}
	var alone []file
	for _, f := range files {
		switch binary := slices.Contains([]string{".deb", ".udeb", ".ddeb"}, path.Ext(f.name)); {
		case p.used[f.name]:
		case binary && !folder:
			alone = append(alone, f)
		default:
			p.wait(f)
		}
	}
	for part := range slices.Chunk(alone, maxUnit) {
		p.units = append(p.units, unit{files: part})
	}
	return p.plan
}

func (p *planner) refuse(f file, why string) {
	p.used[f.name], p.refused[f.name] = true, why
}

// wait keeps a file until it is too old.
func (p *planner) wait(f file) {
	if p.now.Sub(f.at) >= maxWait {
		p.refuse(f, fmt.Sprintf("no complete .changes or .dsc names it within %d hours", int(maxWait.Hours())))
		return
	}
	p.waiting = append(p.waiting, f)
}

// listed adds the unit of a .changes or .dsc, unless one of its files is still missing.
func (p *planner) listed(f file, changes bool) {
	list, err := listedIn(f, changes)
	if err != nil {
		p.refuse(f, err.Error())
		return
	}
	u := unit{files: []file{f}, digests: map[string]string{}, whole: true}
	if changes {
		u.list = f.name
	}
	complete := true
	for _, want := range list {
		if want.Name == f.name {
			continue
		}
		have, there := p.files[want.Name]
		if !there || p.refused[want.Name] != "" || have.size != want.Size {
			complete = false
			continue
		}
		u.files = append(u.files, have)
		u.digests[want.Name] = want.SHA256
	}
	late := !complete && p.now.Sub(f.at) >= maxWait
	for _, have := range u.files {
		switch p.used[have.name] = true; {
		case late:
			p.refuse(have, fmt.Sprintf("files of %s are missing after %d hours", f.name, int(maxWait.Hours())))
		case !complete:
			p.waiting = append(p.waiting, have)
		}
	}
	if complete {
		p.units = append(p.units, u)
	}
}

// listedIn returns the files that a .changes or .dsc lists.
func listedIn(f file, changes bool) ([]deb.File, error) {
	text, _, err := pgp.StripClearsign([]byte(f.text))
	if err != nil {
		return nil, fmt.Errorf("unable to read %s: %w", f.name, err)
	}
	p, err := deb.ParseParagraph(string(text), deb.ModeControl)
	if err != nil {
		return nil, fmt.Errorf("unable to read %s: %w", f.name, err)
	}
	var list []deb.File
	if changes {
		c, err := deb.ParseChanges(p)
		if err != nil {
			return nil, fmt.Errorf("unable to read %s: %w", f.name, err)
		}
		list = c.Files
	} else {
		pkg, err := deb.SourcePackage(p, deb.File{Name: f.name, Size: f.size})
		if err != nil {
			return nil, fmt.Errorf("unable to read %s: %w", f.name, err)
		}
		list = pkg.Files
	}
	slices.SortFunc(list, func(a, b deb.File) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}
