package repo

import (
	"context"
	"encoding/json"

	"aptless/core/chunks"
	"aptless/core/epoch"
)

// Roots returns what the row of a repository needs of the storage.
func (s *Store) Roots(_ context.Context, data []byte) (epoch.Roots, error) {
	var r Repo
	err := json.Unmarshal(data, &r)
	return epoch.Roots{Packages: []chunks.Ref{r.List}}, err
}
