package aws

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"aptless/core/engine/driver"
)

// tokenField is the metadata field of an object with the token of its write.
const tokenField = "write"

// write is one write of an object. After a lost answer the repeated call fails its own
// condition; the token tells that the object is its own.
type write struct {
	*Blobs
	bucket, name *string
	opt          driver.PutOptions
	token        string
	once         bool // a refusal because of a concurrent write is final
}

func (b *Blobs) newWrite(bucket, name *string, opt driver.PutOptions) *write {
	return &write{Blobs: b, bucket: bucket, name: name, opt: opt, token: rand.Text()}
}

// metadata returns the metadata of the object.
func (w *write) metadata() map[string]string { return map[string]string{tokenField: w.token} }

// do repeats the call until it has an answer, and describes the object of size bytes. If
// S3 does not return the object's time, do uses the current time in whole seconds.
func (w *write) do(ctx context.Context, size int64, call func(context.Context) (etag *string, at *time.Time, err error)) (driver.Info, error) {
	ctx, tries := watch(ctx)
	for n := 0; ; n++ {
		etag, at, err := call(ctx)
		switch {
		case err == nil && at == nil:
			return driver.Info{Size: size, ETag: aws.ToString(etag), ModTime: time.Now().Truncate(time.Second)}, nil
		case err == nil:
			return driver.Info{Size: size, ETag: aws.ToString(etag), ModTime: *at}, nil
		case busy(err) && n < maxRetries && !w.once:
			if err := pause(ctx, n); err != nil {
				return driver.Info{}, err
			}
			continue
		}
		refusal := refused(err, w.opt)
		if state := errors.Is(refusal, driver.ErrExists) || errors.Is(refusal, driver.ErrConflict) || code(err) == "NoSuchUpload"; state && tries.unsure() {
			return w.find(ctx, size)
		}
		return driver.Info{}, refusal
	}
}

// find returns the object if this write made it.
func (w *write) find(ctx context.Context, size int64) (driver.Info, error) {
	out, err := w.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: w.bucket, Key: w.name})
	if err != nil && status(err) != http.StatusNotFound {
		return driver.Info{}, err
	}
	if err != nil || out.Metadata[tokenField] != w.token {
		return driver.Info{}, errUnsure
	}
	return driver.Info{Size: size, ETag: aws.ToString(out.ETag), ModTime: aws.ToTime(out.LastModified)}, nil
}

// complete joins the parts of an upload to an object. After a concurrent conditional write
// S3 has given the upload up: only another upload can succeed.
func (w *write) complete(ctx context.Context, id *string, done []types.CompletedPart, size int64) (driver.Info, error) {
	in := &s3.CompleteMultipartUploadInput{Bucket: w.bucket, Key: w.name, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}}
	in.IfNoneMatch, in.IfMatch = conditions(w.opt)
	w.once = true
	return w.do(ctx, size, func(ctx context.Context) (*string, *time.Time, error) {
		out, err := w.client.CompleteMultipartUpload(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		return out.ETag, nil, nil
	})
}
