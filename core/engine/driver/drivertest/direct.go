package drivertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// Direct is Blobs with signed uploads. The URL of a PUT is the key. The URL of a part is
// "parts/<id>/<number>"; PutPart puts it as a store does.
type Direct struct {
	driver.Blobs

	mu    sync.Mutex
	ids   int
	begun map[string]map[int]signedPart // by ID
}

type signedPart struct {
	driver.Part
	data []byte // nil until it is put
}

var _ driver.Direct = (*Direct)(nil)

// SignPut implements driver.Direct.
func (d *Direct) SignPut(_ context.Context, key string, size int64, sha256 string, _ time.Duration) (driver.SignedPut, error) {
	return driver.SignedPut{URL: key, Headers: map[string]string{"digest": sha256, "size": fmt.Sprint(size)}}, nil
}

// BeginParts implements driver.Direct.
func (d *Direct) BeginParts(context.Context, string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun == nil {
		d.begun = map[string]map[int]signedPart{}
	}
	d.ids++
	id := fmt.Sprint("id", d.ids)
	d.begun[id] = map[int]signedPart{}
	return id, nil
}

// SignPart implements driver.Direct.
func (d *Direct) SignPart(_ context.Context, _, id string, part driver.Part, _ time.Duration) (driver.SignedPut, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun[id] == nil {
		return driver.SignedPut{}, driver.ErrNotFound
	}
	d.begun[id][part.Number] = signedPart{Part: part, data: d.begun[id][part.Number].data}
	return driver.SignedPut{URL: fmt.Sprintf("parts/%s/%d", id, part.Number)}, nil
}

// PutPart puts a part to its URL. The error is driver.ErrDigest for other bytes than
// signed for.
func (d *Direct) PutPart(url string, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := strings.Split(url, "/")
	number, err := strconv.Atoi(at[len(at)-1])
	if err != nil || len(at) != 3 {
		return driver.ErrInvalid
	}
	part, ok := d.begun[at[1]][number]
	sum := sha256.Sum256(data)
	switch {
	case !ok:
		return driver.ErrNotFound
	case part.Size != int64(len(data)) || part.SHA256 != hex.EncodeToString(sum[:]):
		return driver.ErrDigest
	}
	part.data, part.ETag = bytes.Clone(data), part.SHA256
	d.begun[at[1]][number] = part
	return nil
}

// Parts implements driver.Direct.
func (d *Direct) Parts(_ context.Context, _, id string) ([]driver.Part, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	parts, ok := d.begun[id]
	if !ok {
		return nil, driver.ErrNotFound
	}
	var put []driver.Part
	for _, p := range parts {
		if p.data != nil {
			put = append(put, p.Part)
		}
	}
	slices.SortFunc(put, func(a, b driver.Part) int { return a.Number - b.Number })
	return put, nil
}

// CompleteParts implements driver.Direct.
func (d *Direct) CompleteParts(ctx context.Context, key, id string, parts []driver.Part) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	begun, ok := d.begun[id]
	if !ok {
		return driver.ErrNotFound
	}
	var all []byte
	for _, p := range parts {
		all = append(all, begun[p.Number].data...)
	}
	if _, err := d.Blobs.Put(ctx, key, bytes.NewReader(all), driver.PutOptions{IfAbsent: true}); err != nil {
		return err
	}
	delete(d.begun, id)
	return nil
}

// AbortParts implements driver.Direct.
func (d *Direct) AbortParts(_ context.Context, _, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.begun, id)
	return nil
}

// Begun returns the number of objects that are neither complete nor aborted.
func (d *Direct) Begun() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.begun)
}
