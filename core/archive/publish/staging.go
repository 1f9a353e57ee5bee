package publish

import (
	"context"
	"encoding/json"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/engine/driver"
)

// StagingPart is the partition of the rows that name the objects that attempts
// stage. StagingRoots returns the roots of such a row.
const StagingPart = "staging"

// staging is the row of a publication that is being staged. It is written
// before the first object, and removed when the publication is applied or
// undone. So every object that an attempt has put into the public tree is
// listed. Package files are the difference of Lists to the committed lists.
// By-hash objects are in the inventories of Folders.
type staging struct {
	Name
	Task    int64    // that stages
	Folders []string // private folders of its attempts
	Scope   files.Scope
	Aliases []string                   `json:",omitempty"`
	Lists   map[string]index.Published // whose package files may be linked
}

func stagingKey(n Name) driver.Key { return driver.Key{Part: StagingPart, Sort: n.dist().ID()} }

// staging reads the row of a publication that is being staged, and its version.
func (s *Store) staging(ctx context.Context, n Name) (staging, string, error) {
	var st staging
	row, err := s.Table.Get(ctx, stagingKey(n))
	if err != nil {
		return st, "", err
	}
	return st, row.Version, json.Unmarshal(row.Data, &st)
}
