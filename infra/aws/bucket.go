package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"aptless/core/engine/driver"
)

// Bucket reads a bucket that another program has written, below a prefix.
type Bucket struct{ blobs driver.Blobs }

// OpenBucket connects to a bucket: s3://bucket/prefix, with options as of ParseStorages.
// It sends no request.
func OpenBucket(ctx context.Context, address string) (*Bucket, error) {
	_, s, err := parseStorage("bucket=" + address)
	if err != nil {
		return nil, fmt.Errorf("%.200s: %w", address, err)
	}
	var d Drivers
	if d.sdk, err = load(ctx, &d.requests); err != nil {
		return nil, err
	}
	open, err := d.openStorages(ctx, map[string]Storage{"bucket": s})
	if err != nil {
		return nil, err
	}
	return &Bucket{open["s3:bucket"]}, nil
}

// Open opens the object of a name below the prefix. The error matches fs.ErrNotExist if
// there is none. S3 refuses a missing object of a bucket that the sender may not list: so
// a refusal matches it, too.
func (b *Bucket) Open(ctx context.Context, name string) (body io.ReadCloser, size int64, err error) {
	body, info, err := b.blobs.Open(ctx, "public/"+name, nil)
	if errors.Is(err, driver.ErrNotFound) || status(err) == http.StatusForbidden {
		err = fmt.Errorf("%s: %w (%w)", name, fs.ErrNotExist, err)
	}
	return body, info.Size, err
}
