package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/mirror"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/source"
	"aptless/core/engine/lists"
)

// Format begins a Manifest. Version is the newest version of the format that this program
// reads and writes. A reader refuses a greater one.
//
//	1  the first
//	2  a publication may have skeleton files
const (
	Format  = "aptless-transfer"
	Version = 2
)

// VersionOf returns the oldest version that has all of the objects. So a program of that
// version still reads the folder.
func VersionOf(objects []Object) int {
	for i := range objects {
		if p := objects[i].Publication; p != nil && len(p.Skeleton) > 0 {
			return 2
		}
	}
	return 1
}

// Limits of a transfer, in bytes.
const (
	maxManifest = 1 << 20
	maxLine     = 8 << 20   // an object
	maxObjects  = 256 << 20 // all objects
)

// ErrFormat says that bytes are no transfer that this program can read.
var ErrFormat = errors.New("not a transfer of a known version")

// Manifest describes a transfer folder.
type Manifest struct {
	Format  string
	Version int
	Made    time.Time
	Objects string // SHA-256 of the file of objects, lower-case hex
	Size    int64  // of that file, in bytes
	Counts  map[string]int
	Files   int   // package files
	Bytes   int64 // of the package files
}

// ParseManifest reads a manifest. The error matches ErrFormat.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if len(data) > maxManifest {
		return m, fmt.Errorf("manifest of %d bytes: %w", len(data), ErrFormat)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("manifest: %v: %w", err, ErrFormat)
	}
	if m.Format != Format || m.Version < 1 || m.Version > Version || len(m.Objects) != 2*sha256.Size {
		return m, fmt.Errorf("manifest of %.40q, version %d: %w", m.Format, m.Version, ErrFormat)
	}
	return m, nil
}

// Names of the files of a folder in an upload directory.
const (
	ObjectsName = "objects.jsonl"
	ListPrefix  = "list-" // then the digest of a root or a chunk
	FilePrefix  = "file-" // then the SHA-256 of a package file
)

// Publication is a publication without its tree.
type Publication struct {
	publish.Settings
	Components map[string]publish.Component
	// Skeleton has the SHA-256 of the files that operators have put beside the indexes, by
	// component and by path below it.
	Skeleton map[string]map[string]string `json:",omitempty"`

	state string // publish.State.Skeleton; "" if it was made without such files
}

// shares reports whether two publications have a source in common.
func (p *Publication) shares(other *Publication) bool {
	for _, c := range p.Components {
		for _, d := range other.Components {
			if c.UUID == d.UUID {
				return true
			}
		}
	}
	return false
}

// Bounds of the skeleton files of a component, as package publish has them.
const (
	MaxSkeletonFiles = 1000
	MaxSkeletonFile  = 64 << 20 // bytes
)

// checkSkeleton refuses names that lead out of the folder of a component.
func (p *Publication) checkSkeleton() error {
	for component, files := range p.Skeleton {
		if _, has := p.Components[component]; !has || len(files) > MaxSkeletonFiles {
			return fmt.Errorf("publication %s has %d skeleton files of the component %.80q: %w", p.Dist(), len(files), component, ErrFormat)
		}
		for name := range files {
			for part := range strings.SplitSeq(name, "/") {
				if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\x00\\") || len(name) > 512 {
					return fmt.Errorf("publication %s has the skeleton file %.80q: %w", p.Dist(), name, ErrFormat)
				}
			}
		}
	}
	return nil
}

// skeletonSums returns the SHA-256 of the skeleton files, ascending.
func (p *Publication) skeletonSums() []string {
	var sums []string
	for _, files := range p.Skeleton {
		sums = slices.AppendSeq(sums, maps.Values(files))
	}
	slices.Sort(sums)
	return slices.Compact(sums)
}

// Ring is a ring of trusted public keys.
type Ring struct {
	Name string
	Keys []byte // OpenPGP packets
}

// Object is one object of a transfer. One field is not nil.
type Object struct {
	Ring        *Ring              `json:",omitempty"`
	Repo        *repo.Repo         `json:",omitempty"`
	Mirror      *mirror.Mirror     `json:",omitempty"` // without secrets
	Snapshot    *snapshot.Snapshot `json:",omitempty"`
	Publication *Publication       `json:",omitempty"`
}

// Kinds of objects, in the order of an import.
const (
	OfRing        = "keyring"
	OfRepo        = string(source.Repo)
	OfMirror      = string(source.Mirror)
	OfSnapshot    = string(source.Snapshot)
	OfPublication = source.Published
)

// Kind returns the kind of the object, "" if it has none or several.
func (o *Object) Kind() string {
	kind := ""
	for _, k := range []struct {
		is   bool
		name string
	}{{o.Ring != nil, OfRing}, {o.Repo != nil, OfRepo}, {o.Mirror != nil, OfMirror}, {o.Snapshot != nil, OfSnapshot}, {o.Publication != nil, OfPublication}} {
		if k.is && kind != "" {
			return ""
		}
		if k.is {
			kind = k.name
		}
	}
	return kind
}

// Name returns the name by which clients know the object.
func (o *Object) Name() string {
	name, _ := o.names()
	return name
}

// id is the identity of an object: a publication's is its place, a ring's its name.
func (o *Object) id() string {
	_, id := o.names()
	return id
}

// inRow reports whether the object is a row that an import writes: a repository, mirror or
// snapshot.
func (o *Object) inRow() bool { return o.Repo != nil || o.Mirror != nil || o.Snapshot != nil }

// names returns the name and the identity of the object.
func (o *Object) names() (name, id string) {
	switch o.Kind() {
	case OfRing:
		return o.Ring.Name, o.Ring.Name
	case OfRepo:
		return o.Repo.Name, o.Repo.UUID
	case OfMirror:
		return o.Mirror.Name, o.Mirror.UUID
	case OfSnapshot:
		return o.Snapshot.Name, o.Snapshot.UUID
	case OfPublication:
		return o.Publication.Dist().String(), o.Publication.Dist().ID()
	}
	return "", ""
}

// Lists returns the references to the object's lists, which the caller may change.
// change is called for each.
func (o *Object) Lists(change func(*lists.Ref) error) error {
	switch o.Kind() {
	case OfRepo:
		return change(&o.Repo.List)
	case OfMirror:
		return change(&o.Mirror.List)
	case OfSnapshot:
		return change(&o.Snapshot.List)
	case OfPublication:
		for _, c := range slices.Sorted(maps.Keys(o.Publication.Components)) {
			v := o.Publication.Components[c]
			if err := change(&v.List); err != nil {
				return err
			}
			o.Publication.Components[c] = v
		}
	}
	return nil
}

// Files returns the SHA-256 of the files that the object has besides packages, ascending.
func (o *Object) Files() []string {
	switch o.Kind() {
	case OfMirror:
		return slices.Sorted(maps.Values(o.Mirror.AppStreamFiles))
	case OfSnapshot:
		return slices.Sorted(maps.Values(o.Snapshot.AppStreamFiles))
	case OfPublication:
		return o.Publication.skeletonSums()
	}
	return nil
}

// check refuses an object that no export writes.
func (o *Object) check() error {
	if o.Kind() == "" || o.id() == "" || o.Name() == "" {
		return fmt.Errorf("object without a kind or a name: %w", ErrFormat)
	}
	for _, sum := range o.Files() {
		if !isSHA256(sum) {
			return fmt.Errorf("%s %s names the file %.80q: %w", o.Kind(), o.Name(), sum, ErrFormat)
		}
	}
	if o.Publication != nil {
		return o.Publication.checkSkeleton()
	}
	return nil
}

// isSHA256 reports whether a text is a SHA-256 in lower-case hex.
func isSHA256(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == text
}

// order is the place of a kind in an import: sources come before their users.
func (o *Object) order() int {
	return slices.Index([]string{OfRing, OfRepo, OfMirror, OfSnapshot, OfPublication}, o.Kind())
}

// Sort sorts objects as an import needs them. A snapshot comes after its own
// sources, since they are older.
func Sort(objects []Object) {
	slices.SortStableFunc(objects, func(a, b Object) int {
		if d := a.order() - b.order(); d != 0 {
			return d
		}
		if a.Kind() == OfSnapshot {
			if d := a.Snapshot.CreatedAt.Compare(b.Snapshot.CreatedAt); d != 0 {
				return d
			}
		}
		return bytes.Compare([]byte(a.id()), []byte(b.id()))
	})
}

// Encode returns objects as lines.
func Encode(objects []Object) ([]byte, error) {
	var out bytes.Buffer
	for i := range objects {
		line, err := json.Marshal(&objects[i])
		if err != nil {
			return nil, err
		}
		out.Write(append(line, '\n'))
		if len(line) > maxLine || out.Len() > maxObjects {
			return nil, fmt.Errorf("objects of more than %d bytes: %w", maxObjects, ErrFormat)
		}
	}
	return out.Bytes(), nil
}

// Decode reads the lines of Encode, and checks each object. The error matches ErrFormat.
func Decode(r io.Reader) ([]Object, error) {
	var objects []Object
	seen := map[string]bool{}
	in := bufio.NewScanner(io.LimitReader(r, maxObjects+1))
	in.Buffer(nil, maxLine)
	size := 0
	for in.Scan() {
		size += len(in.Bytes()) + 1
		var o Object
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("object %d: %v: %w", len(objects)+1, err, ErrFormat)
		}
		if err := o.check(); err != nil {
			return nil, err
		}
		key := o.Kind() + "/" + o.id()
		if seen[key] || size > maxObjects {
			return nil, fmt.Errorf("%s %s is there twice, or there are too many objects: %w", o.Kind(), o.Name(), ErrFormat)
		}
		seen[key] = true
		objects = append(objects, o)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("objects: %v: %w", err, ErrFormat)
	}
	return objects, nil
}
