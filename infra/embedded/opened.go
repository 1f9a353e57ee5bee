package embedded

import (
	"path"
	"strings"
	"sync"
	"time"
)

// opened keeps folders open in which many links are made, one after the other. Example:
// a publication links 10,000 files of 256 folders. With open folders a link is one system
// call and two looks at the file.
//
// A folder that the process removes is dropped before. A folder that an operator moves or
// replaces is used for at most openTime.
type opened struct {
	limit int // folders
	now   func() time.Time

	mu      sync.Mutex
	folders map[string]*openFolder
}

// openFolder is a folder that its users share.
type openFolder struct {
	folder
	name  string
	since time.Time
	users int
	kept  bool // is in opened.folders
}

// openTime bounds how long a folder is kept open.
const openTime = time.Second

func newOpened(limit int) *opened {
	return &opened{limit: limit, now: time.Now, folders: map[string]*openFolder{}}
}

// hold returns the folder of a file, and the name of the file in it. The caller releases
// the folder. fresh says that it was opened by this call.
func (o *opened) hold(d *disk, file string) (f *openFolder, base string, fresh bool, err error) {
	dir, base := path.Split(file)
	name := strings.TrimSuffix(dir, "/")
	if f := o.find(name); f != nil {
		return f, base, false, nil
	}
	at, err := d.open(name)
	if err != nil {
		return nil, base, true, err
	}
	f = &openFolder{folder: at, name: name, since: o.now(), users: 1, kept: true}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.folders) >= o.limit {
		for _, other := range o.folders {
			o.forget(other)
		}
	}
	if other := o.folders[name]; other != nil {
		o.forget(other)
	}
	o.folders[name] = f
	return f, base, true, nil
}

// find returns a folder that is open; nil if there is none.
func (o *opened) find(name string) *openFolder {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.folders[name]
	if f == nil {
		return nil
	}
	if o.now().Sub(f.since) >= openTime {
		o.forget(f)
		return nil
	}
	f.users++
	return f
}

// release ends the use of a folder.
func (o *opened) release(f *openFolder) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.users--
	if !f.kept && f.users == 0 {
		f.close()
	}
}

// drop forgets a folder. Its users may go on.
func (o *opened) drop(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.folders[name]; f != nil {
		o.forget(f)
	}
}

// close forgets all folders.
func (o *opened) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.folders {
		o.forget(f)
	}
}

// forget is drop with o.mu held.
func (o *opened) forget(f *openFolder) {
	delete(o.folders, f.name)
	f.kept = false
	if f.users == 0 {
		f.close()
	}
}
