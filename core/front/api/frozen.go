package api

import "context"

// Frozen is a copy of the data folder as it was at one moment.
type Frozen struct {
	ID      string
	Path    string // a folder on the machine of the server
	Data    string // the data folder
	Objects int
}

// Freezer makes copies of a data folder, by links.
type Freezer interface {
	Freeze(ctx context.Context) (Frozen, error)
	// Thaw removes a copy. driver.ErrNotFound: there is none of that ID.
	Thaw(id string) error
}
