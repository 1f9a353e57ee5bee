package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// mismatch is a file that differs from its index, or whose SHA-256 the index does
// not give. Want is the index's description, Got the file's.
type mismatch struct{ Want, Got deb.File }

func (u *update) mismatchKey(token int64, n int) string {
	return fmt.Sprintf("private/tasks/%d/odd-%d-%d", u.attempt.ID(), token, n)
}

// saveMismatches stores mismatches in an object and notes it in the cursor.
func (u *update) saveMismatches(ctx context.Context, list []mismatch) error {
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	token, last := u.attempt.Token(), len(u.cursor.Mismatches)-1
	if last < 0 || u.cursor.Mismatches[last].Token != token {
		u.cursor.Mismatches = append(u.cursor.Mismatches, mismatchObjects{Token: token})
		last++
	}
	if _, err := u.Pool.Blobs.Put(ctx, u.mismatchKey(token, u.cursor.Mismatches[last].N), bytes.NewReader(data), driver.PutOptions{}); err != nil {
		return err
	}
	u.cursor.Mismatches[last].N++
	return nil
}

// mismatches reads all mismatches that the cursor refers to.
func (u *update) mismatches(ctx context.Context) (map[deb.File]deb.File, error) {
	known := map[deb.File]deb.File{}
	for _, o := range u.cursor.Mismatches {
		for n := range o.N {
			list, err := u.readMismatches(ctx, u.mismatchKey(o.Token, n))
			if err != nil {
				return nil, err
			}
			for _, f := range list {
				known[f.Want] = f.Got
			}
		}
	}
	return known, nil
}

func (u *update) readMismatches(ctx context.Context, key string) (list []mismatch, err error) {
	r, _, err := u.Pool.Blobs.Open(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return list, nil
}
