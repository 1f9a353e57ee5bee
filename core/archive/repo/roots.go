package repo

import (
	"context"
	"encoding/json"

	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
)

// Roots returns the list that a repository's row refers to.
func (s *Store) Roots(_ context.Context, data []byte) (gc.Roots, error) {
	var r Repo
	err := json.Unmarshal(data, &r)
	return gc.Roots{Packages: []lists.Ref{r.List}}, err
}
