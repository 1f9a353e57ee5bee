package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"aptless/core/engine/driver"
)

// Published is the kind of a publication among the kinds of marks.
const Published = "publication"

// Mark returns the key of the row by which package transfer knows an object again that it
// has imported. id is the UUID of a source, or the place of a publication. The row has the
// digest of the id, since a place may be long.
func Mark(kind, id string) driver.Key {
	sum := sha256.Sum256([]byte(id))
	return driver.Key{Part: "transferred", Sort: kind + "/" + hex.EncodeToString(sum[:])}
}

// Marks returns the mark of an object, for the transaction that drops it, and none if no
// import has brought the object. That transaction has read the row of the object before. A
// mark is written with that row only, so the transaction fails if an import comes between.
func Marks(ctx context.Context, table driver.Table, kind, id string) ([]driver.Key, error) {
	key := Mark(kind, id)
	_, err := table.Get(ctx, key)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []driver.Key{key}, nil
}
