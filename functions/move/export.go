package move

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/transfer"
	"aptless/core/client"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Mover copies between a folder and a server.
type Mover struct {
	Client   *client.Client
	Folder   *Folder
	Parallel int      // requests at a time; 0 is 8
	Only     []string // patterns of transfer.Select; none for all objects
	Keep     int      // exports whose manifests stay in the folder; 0 keeps only the last one, and removes no file
	Now      func() time.Time
	// Say is called with the progress; nil for none. total 0 is not known.
	Say func(phase string, done, total int)
}

func (m *Mover) say(phase string, done, total int) {
	if m.Say != nil {
		m.Say(phase, done, total)
	}
}

func (m *Mover) workers() int {
	if m.Parallel > 0 {
		return m.Parallel
	}
	return 8
}

// Exported is the result of an export.
type Exported struct {
	transfer.Manifest
	Fetched int   // package files that the folder did not have
	Read    int64 // their bytes
	Moment  bool  // all objects are of one moment
	Removed int   `json:",omitempty"` // files that only forgotten exports had
}

// Export brings the folder to the present state of the server.
func (m *Mover) Export(ctx context.Context) (done Exported, err error) {
	if err := m.Folder.Begin(); err != nil {
		return done, err
	}
	defer m.Folder.Leave()
	made, err := client.Send(ctx, m.Client, client.CreateExport())
	if err != nil {
		return done, err
	}
	e := made.Value
	defer func() { // an export that stays is removed by a later one after some days
		_, dropErr := client.Send(context.WithoutCancel(ctx), m.Client, client.DropExport(e.ID))
		if err == nil {
			err = dropErr
		}
	}()
	var text bytes.Buffer
	if err := m.part(ctx, e.ID, transfer.PartObjects, "all", &text); err != nil {
		return done, err
	}
	if sum := sha256.Sum256(text.Bytes()); hex.EncodeToString(sum[:]) != e.SHA256 {
		return done, fmt.Errorf("the objects of export %s arrived damaged", e.ID)
	}
	objects, err := transfer.Decode(&text)
	if err == nil && len(m.Only) > 0 {
		objects, err = transfer.Select(objects, m.Only)
	}
	if err != nil {
		return done, err
	}
	r := &receiver{Mover: m, export: e.ID, done: &done, far: pkglist.Store{Chunks: &lists.Store{
		Blobs: listFiles{m.Folder, func(ctx context.Context, key string) ([]byte, error) { return m.list(ctx, e.ID, key) }}, Cache: lists.NewCache(listCache)}}}
	n := &needs{seen: map[string]bool{}}
	if err := n.walk(ctx, r.far, objects, func(all []*deb.Package) error { return r.files(ctx, n, all) }); err != nil {
		return done, err
	}
	if err := r.lists(ctx, objects); err != nil {
		return done, err
	}
	for i := range objects {
		for _, sum := range objects[i].Files() {
			n.file(sum, 0)
			if err := r.file(ctx, File{SHA256: sum}); err != nil {
				return done, err
			}
		}
	}
	done.Moment = e.Moment
	size := transfer.Manifest{Files: len(n.files), Bytes: n.bytes, Made: m.Now()}
	done.Manifest, done.Removed, err = m.Folder.finishKeeping(ctx, objects, size, m.Keep)
	return done, err
}

// part reads all bytes of a part of an export.
func (m *Mover) part(ctx context.Context, id, kind, name string, to io.Writer) error {
	for from := int64(0); ; {
		data, err := m.Client.Fetch(ctx, client.ReadExport(id, kind, name, from))
		if err != nil {
			return err
		}
		if _, err := to.Write(data); err != nil {
			return err
		}
		if from += int64(len(data)); len(data) < client.MaxPart {
			return nil
		}
	}
}

// list reads the object of a list. key is that of lists.ObjectKey.
func (m *Mover) list(ctx context.Context, id, key string) ([]byte, error) {
	parts := strings.Split(key, "/")
	var object bytes.Buffer
	err := m.part(ctx, id, transfer.PartLists, parts[len(parts)-3]+"-"+parts[len(parts)-1], &object)
	return object.Bytes(), err
}

// receiver reads lists and files of one export.
type receiver struct {
	*Mover
	export string
	far    pkglist.Store // lists of the server
	done   *Exported
}

// files fetches the files of packages that the folder lacks, some at a time.
func (r *receiver) files(ctx context.Context, n *needs, all []*deb.Package) error {
	first := len(n.files)
	for _, p := range all {
		for _, f := range p.Files {
			n.file(f.SHA256, f.Size)
		}
	}
	var missing []File
	for _, f := range n.files[first:] {
		if !r.Folder.HasFile(f.SHA256, f.Size) {
			missing = append(missing, f)
		}
	}
	r.done.Fetched += len(missing)
	for _, f := range missing {
		r.done.Read += f.Size
	}
	err := parallel.Each(ctx, r.workers(), len(missing), func(ctx context.Context, i int) error { return r.fetch(ctx, missing[i].SHA256) })
	r.say("files", len(n.files), 0)
	return err
}

// file fetches one file, if the folder lacks it.
func (r *receiver) file(ctx context.Context, f File) error {
	if r.Folder.HasFile(f.SHA256, f.Size) {
		return nil
	}
	r.done.Fetched++
	return r.fetch(ctx, f.SHA256)
}

func (r *receiver) fetch(ctx context.Context, sum string) error {
	from, to := io.Pipe()
	call := parallel.Start(func() (struct{}, error) {
		err := r.part(ctx, r.export, transfer.PartFiles, sum, to)
		to.CloseWithError(err)
		return struct{}{}, err
	})
	err := r.Folder.Keep(sum, from)
	from.CloseWithError(err) // ends the writer after a failure here
	if _, farErr := call.Result(); farErr != nil {
		return fmt.Errorf("file %s: %w", sum, farErr)
	}
	return err
}

// lists stores the lists of objects in the folder, and changes the references to them.
func (r *receiver) lists(ctx context.Context, objects []transfer.Object) error {
	var recent []*pkglist.List
	for i := range objects {
		err := objects[i].Lists(func(ref *lists.Ref) error {
			from, err := r.far.Open(ctx, *ref)
			if err != nil {
				return err
			}
			list, err := r.Folder.Lists.Import(ctx, from, recent...)
			if err != nil {
				return err
			}
			if list.Ref().Digest != ref.Digest {
				return fmt.Errorf("list %v became %v", ref.Digest, list.Ref().Digest)
			}
			if *ref = list.Ref(); list.Count() > 0 {
				recent = append(recent, list)
				recent = recent[max(0, len(recent)-4):]
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s %s: %w", objects[i].Kind(), objects[i].Name(), err)
		}
		r.say("lists", i+1, len(objects))
	}
	return nil
}
