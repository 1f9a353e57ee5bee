package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// odd is a file that is not as upstream says, or of which it does not say
// enough to find it in the pool.
type odd struct{ Want, Got deb.File }

// oddObjects says how many objects with odd files an attempt has written.
type oddObjects struct {
	Token int64 // of the attempt
	N     int
}

func (u *update) oddKey(token int64, n int) string {
	return fmt.Sprintf("private/tasks/%d/odd-%d-%d", u.attempt.ID(), token, n)
}

// saveOdds stores odd files in an object, of which the place then knows.
func (u *update) saveOdds(ctx context.Context, list []odd) error {
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	token, last := u.attempt.Token(), len(u.at.Odd)-1
	if last < 0 || u.at.Odd[last].Token != token {
		u.at.Odd = append(u.at.Odd, oddObjects{Token: token})
		last++
	}
	if _, err := u.Pool.Blobs.Put(ctx, u.oddKey(token, u.at.Odd[last].N), bytes.NewReader(data), driver.PutOptions{}); err != nil {
		return err
	}
	u.at.Odd[last].N++
	return nil
}

// odds returns the odd files that were fetched before the place.
func (u *update) odds(ctx context.Context) (map[deb.File]deb.File, error) {
	known := map[deb.File]deb.File{}
	for _, o := range u.at.Odd {
		for n := range o.N {
			list, err := u.readOdds(ctx, u.oddKey(o.Token, n))
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

func (u *update) readOdds(ctx context.Context, key string) (list []odd, err error) {
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
