package drop

import (
	"path"
	"strings"
	"time"

	"aptless/core/archive/deliver"
	"aptless/core/archive/repo"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// Prefixes of keys of files that wait, and of files that were refused.
const (
	Prefix       = "drop/drop/"
	FailedPrefix = "drop/failed/"
)

// maxWait is the time for which a file waits for its .changes or .dsc.
const maxWait = 24 * time.Hour

// Store makes and runs the tasks of the drop box.
type Store struct {
	Table      driver.Table
	Blobs      driver.Blobs
	Repos      *repo.Store
	Uploads    *upload.Store
	Deliveries *deliver.Store
	Tasks      *task.Store
	Now        func() time.Time
}

// Place is a folder of the drop box. Folder is "" for the files of the repository itself.
type Place struct{ Repo, Folder string }

// PlaceOf returns the place of a file by its key. It reports false for a key that is no
// file of the drop box.
func PlaceOf(key string) (Place, bool) {
	rest, ok := strings.CutPrefix(key, Prefix)
	repo, file, in := strings.Cut(rest, "/")
	if !ok || !in || driver.CheckKey(key) != nil {
		return Place{}, false
	}
	dir, _ := path.Split(file)
	return Place{repo, strings.TrimSuffix(dir, "/")}, true
}

// name returns the name of a place in keys and messages.
func (p Place) name() string { return path.Join(p.Repo, p.Folder) }

// prefix returns the prefix of the keys of a place.
func (p Place) prefix() string { return Prefix + p.name() + "/" }

// claimPart is the partition of the files that tasks are importing.
const claimPart = "drop"

func claimKey(object string) driver.Key {
	return driver.Key{Part: claimPart, Sort: strings.TrimPrefix(object, Prefix)}
}

// claim is the row of a file that a task is importing.
type claim struct {
	ETag string
	Task int64
}

// failedKey returns the key of a refused file.
func failedKey(object string) string { return FailedPrefix + strings.TrimPrefix(object, Prefix) }
