package aptly

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"aptless/core/archive/mirror"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/transfer"
)

// listed is an object of the transfer, and the keys of its lists in the database.
type listed struct {
	transfer.Object
	lists map[string]string // the key of each list; by component for a publication, else by ""
}

// localRepo reads a repository: the record L<uuid>.
func localRepo(data []byte) (listed, error) {
	f, err := record(data)
	if err != nil {
		return listed{}, err
	}
	r := &repo.Repo{UUID: f.text("UUID"), Name: f.text("Name"), Comment: f.text("Comment"), DefaultDistribution: f.text("DefaultDistribution"),
		DefaultComponent: f.text("DefaultComponent")}
	if f.of("Uploaders") != nil {
		text, err := json.Marshal(f.of("Uploaders"))
		if err == nil {
			r.Uploaders, err = repo.ParseUploaders(text)
		}
		if err != nil {
			return listed{}, fmt.Errorf("repository %s: uploaders: %w", r.Name, err)
		}
	}
	return listed{transfer.Object{Repo: r}, map[string]string{"": r.UUID}}, nil
}

// remoteRepo reads a mirror: the record R<uuid>.
func remoteRepo(data []byte) (listed, error) {
	f, err := record(data)
	if err != nil {
		return listed{}, err
	}
	m := &mirror.Mirror{UUID: f.text("UUID"), Name: f.text("Name"), Meta: f.pairs("Meta"), LastDownloadDate: f.time("LastDownloadDate"),
		Settings: mirror.Settings{ArchiveRoot: f.text("ArchiveRoot"), Distribution: f.text("Distribution"), Components: f.texts("Components"),
			Architectures: f.texts("Architectures"), Filter: f.text("Filter"), FilterWithDeps: f.flag("FilterWithDeps"),
			SkipComponentCheck: f.flag("SkipComponentCheck"), SkipArchitectureCheck: f.flag("SkipArchitectureCheck"),
			DownloadSources: f.flag("DownloadSources"), DownloadUdebs: f.flag("DownloadUdebs"), DownloadInstaller: f.flag("DownloadInstaller"),
			DownloadAppStream: f.flag("DownloadAppStream")}}
	if m.Flat() {
		m.Components = nil
	}
	if m.LastDownloadDate.Year() <= 1 {
		m.LastDownloadDate = time.Time{}
	}
	return listed{transfer.Object{Mirror: m}, map[string]string{"": m.UUID}}, nil
}

// snapshotOf reads a snapshot: the record S<uuid>. name returns the name of a source, ""
// if it is gone.
func snapshotOf(data []byte, name func(kind, uuid string) string) (listed, error) {
	f, err := record(data)
	if err != nil {
		return listed{}, err
	}
	s := &snapshot.Snapshot{UUID: f.text("UUID"), Name: f.text("Name"), CreatedAt: f.time("CreatedAt"), SourceKind: f.text("SourceKind"),
		Description: f.text("Description"), Origin: f.text("Origin"), NotAutomatic: f.text("NotAutomatic"), ButAutomaticUpgrades: f.text("ButAutomaticUpgrades")}
	if s.SourceKind == "" {
		s.SourceKind = snapshot.OfSnapshots
	}
	for _, uuid := range f.texts("SourceIDs") {
		src := snapshot.Source{UUID: uuid, Name: name(s.SourceKind, uuid)}
		if src.Name == "" {
			src.Name = uuid
		}
		s.Sources = append(s.Sources, src)
	}
	return listed{transfer.Object{Snapshot: s}, map[string]string{"": s.UUID}}, nil
}

// publishedRepo reads a publication: the record U<storage:prefix>>><distribution>. name
// returns the name of a source, "" if it is gone.
func publishedRepo(data []byte, name func(kind, uuid string) string) (listed, error) {
	f, err := record(data)
	if err != nil {
		return listed{}, err
	}
	p := &transfer.Publication{Components: map[string]publish.Component{}, Settings: publish.Settings{
		Name: publish.Name{Storage: f.text("Storage"), Prefix: strings.Trim(f.text("Prefix"), "/"), Distribution: f.text("Distribution")},
		Kind: publish.SourceKind(f.text("SourceKind")), Architectures: f.texts("Architectures"),
		Origin: f.text("Origin"), Label: f.text("Label"), Suite: f.text("Suite"), Codename: f.text("Codename"), Version: f.text("Version"), SignedBy: f.text("SignedBy"),
		NotAutomatic: f.text("NotAutomatic"), ButAutomaticUpgrades: f.text("ButAutomaticUpgrades"),
		SkipContents: f.flag("SkipContents"), SkipBz2: f.flag("SkipBz2"), ByHash: f.flag("AcquireByHash"), MultiDist: f.flag("MultiDist")}}
	if p.Prefix == "" {
		p.Prefix = "."
	}
	if p.Kind == "" { // before aptly 0.5
		p.Kind = publish.Snapshot
	}
	sources := f.pairs("Sources")
	old := len(sources) == 0 // before aptly 0.6
	if old {
		component := f.text("Component")
		if component == "" {
			component = "main"
		}
		sources = map[string]string{component: firstText(f.text("SourceUUID"), f.text("SnapshotUUID"))}
	}
	lists := map[string]string{}
	for c, uuid := range sources {
		src := name(string(p.Kind), uuid)
		if src == "" {
			return listed{}, fmt.Errorf("publication %s: the %s of its component %s is gone: %s", p.Dist(), p.Kind, c, uuid)
		}
		p.Components[c] = publish.Component{UUID: uuid, Name: src}
		switch {
		case p.Kind == publish.Snapshot:
			lists[c] = uuid
		case old:
			lists[c] = f.text("UUID")
		default:
			lists[c] = f.text("UUID") + c
		}
	}
	if staged := f.of("Revision").of("Sources"); len(staged) > 0 { // of aptly 1.6
		p.Settings.Staged = map[string]string{}
		for c := range staged {
			p.Settings.Staged[c] = name(string(p.Kind), staged.text(c))
		}
	}
	return listed{transfer.Object{Publication: p}, lists}, nil
}

func firstText(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// Limits of a list.
const maxRefs = 2_000_000

// refs reads a list: the record E<uuid>, or E<uuid><component> of a publication. An object
// without packages has no record.
func (d *database) refs(key string) ([]string, error) {
	data, err := d.get("E" + key)
	if errors.Is(err, errAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := record(data)
	if err != nil {
		return nil, err
	}
	refs := f.texts("Refs")
	if len(refs) > maxRefs {
		return nil, fmt.Errorf("list of %d packages: %w", len(refs), errValue)
	}
	return refs, nil
}
