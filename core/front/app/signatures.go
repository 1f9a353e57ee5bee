package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/formats/pgp"
)

// signatures finds the keys by which published trees are signed.
type signatures struct {
	blobs  driver.Blobs // published trees
	signer pgp.Signer
}

// of returns the server's keys that have signed a published tree, and the IDs of
// other signing keys. Both are nil if the tree is not signed.
func (s signatures) of(ctx context.Context, storage, prefix, distribution string) (own []*pgp.Key, others []pgp.KeyID, err error) {
	root := "public"
	if storage != "" {
		root = paths.StorageRoot(storage)
	}
	body, _, err := s.blobs.Open(ctx, path.Join(root, prefix, "dists", distribution, "InRelease"), nil)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxInRelease))
	if err != nil {
		return nil, nil, err
	}
	ids, err := pgp.Issuers(text)
	if err != nil {
		return nil, nil, fmt.Errorf("InRelease of %s/%s: %w", prefix, distribution, err)
	}
	keys := s.keys()
	for _, id := range ids {
		i := slices.IndexFunc(keys, func(k *pgp.Key) bool { return k.Matches(id.String()) })
		switch {
		case i < 0:
			others = append(others, id)
		case !slices.Contains(own, keys[i]):
			own = append(own, keys[i])
		}
	}
	return own, others, nil
}

// keys returns the public keys of the server.
func (s signatures) keys() []*pgp.Key {
	if s.signer == nil {
		return nil
	}
	return s.signer.PublicKeys()
}

// armored returns keys as concatenated armoured blocks.
func armored(keys []*pgp.Key) []byte {
	var b bytes.Buffer
	for _, k := range keys {
		b.Write(k.Armor())
	}
	return b.Bytes()
}

// maxInRelease bounds the size of an InRelease that is read, in bytes.
const maxInRelease = 32 << 20
