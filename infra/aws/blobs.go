package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"aptless/core/engine/driver"
)

// Blobs is the Blobs port in two S3 buckets.
type Blobs struct {
	client  *s3.Client
	buckets map[string]string // by area, the first component of keys: "private", "public", or "drop"
	under   string            // the prefix of all keys in the buckets
}

var _ driver.Blobs = (*Blobs)(nil)

// at returns the bucket of a key, and the key within the bucket.
func (b *Blobs) at(key string) (bucket, name *string, err error) {
	if err := driver.CheckKey(key); err != nil {
		return nil, nil, err
	}
	place, rest, ok := strings.Cut(key, "/")
	if !ok || b.buckets[place] == "" {
		return nil, nil, fmt.Errorf("object key %.100q is in no bucket: %w", key, driver.ErrInvalid)
	}
	return aws.String(b.buckets[place]), aws.String(b.under + rest), nil
}

// status returns the HTTP status of a failed call, or 0 if there was no answer.
func status(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// Stat implements driver.Blobs.
func (b *Blobs) Stat(ctx context.Context, key string) (driver.Info, error) {
	bucket, name, err := b.at(key)
	if err != nil {
		return driver.Info{}, err
	}
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: name})
	if status(err) == http.StatusNotFound {
		return driver.Info{}, fmt.Errorf("stat %s: %w", key, driver.ErrNotFound)
	}
	if err != nil {
		return driver.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return driver.Info{Key: key, Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), ModTime: aws.ToTime(out.LastModified)}, nil
}

// Open implements driver.Blobs.
func (b *Blobs) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	bucket, name, err := b.at(key)
	if err != nil {
		return nil, driver.Info{}, err
	}
	in := &s3.GetObjectInput{Bucket: bucket, Key: name}
	if rng != nil {
		if rng.Offset < 0 || rng.Length == 0 { // HTTP's Range cannot express this
			return b.bounded(ctx, key, rng)
		}
		in.Range = aws.String(rangeField(rng))
	}
	out, err := b.client.GetObject(ctx, in)
	switch status(err) {
	case http.StatusNotFound:
		return nil, driver.Info{}, fmt.Errorf("open %s: %w", key, driver.ErrNotFound)
	case http.StatusRequestedRangeNotSatisfiable:
		return b.bounded(ctx, key, rng)
	}
	if err != nil {
		return nil, driver.Info{}, fmt.Errorf("open %s: %w", key, err)
	}
	info := driver.Info{Key: key, Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), ModTime: aws.ToTime(out.LastModified)}
	if rng != nil {
		_, total, ok := strings.Cut(aws.ToString(out.ContentRange), "/")
		if info.Size, err = strconv.ParseInt(total, 10, 64); !ok || err != nil {
			out.Body.Close()
			return nil, driver.Info{}, fmt.Errorf("open %s: Content-Range %q", key, aws.ToString(out.ContentRange))
		}
	}
	return out.Body, info, nil
}

func rangeField(rng *driver.Range) string {
	if rng.Length < 0 || rng.Offset > int64(1)<<62-rng.Length {
		return fmt.Sprintf("bytes=%d-", rng.Offset)
	}
	return fmt.Sprintf("bytes=%d-%d", rng.Offset, rng.Offset+rng.Length-1)
}

// bounded opens an empty range.
func (b *Blobs) bounded(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	info, err := b.Stat(ctx, key)
	if err != nil {
		return nil, driver.Info{}, err
	}
	if _, _, err := rng.Bounds(info.Size); err != nil {
		return nil, driver.Info{}, fmt.Errorf("open %s: %w", key, err)
	}
	return io.NopCloser(bytes.NewReader(nil)), info, nil
}

// refused maps the error of a conditional write to the port's errors. For a missing
// object and a condition on an ETag, S3 answers NoSuchKey.
func refused(err error, opt driver.PutOptions) error {
	switch status(err) {
	case http.StatusPreconditionFailed:
		if opt.IfAbsent {
			return driver.ErrExists
		}
		return driver.ErrConflict
	case http.StatusNotFound:
		if opt.IfMatch != "" && code(err) == "NoSuchKey" {
			return driver.ErrConflict
		}
	case http.StatusConflict:
		if !busy(err) { // a store over a file system refuses "a/b" if "a" exists
			return fmt.Errorf("%w: %s", driver.ErrInvalid, code(err))
		}
	}
	return err
}

// code returns S3's error code, or "" if there is none.
func code(err error) string {
	var refusal smithy.APIError
	if errors.As(err, &refusal) {
		return refusal.ErrorCode()
	}
	return ""
}

// busy reports whether S3 refused the call because of a concurrent conditional write.
// The outcome of that write is unknown, so the call is repeated.
func busy(err error) bool {
	return slices.Contains([]string{"ConditionalRequestConflict", "OperationAborted"}, code(err))
}

func conditions(opt driver.PutOptions) (ifNoneMatch, ifMatch *string) {
	if opt.IfAbsent {
		ifNoneMatch = aws.String("*")
	}
	if opt.IfMatch != "" {
		ifMatch = aws.String(opt.IfMatch)
	}
	return ifNoneMatch, ifMatch
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Copy implements driver.Blobs.
func (b *Blobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	bucket, name, err := b.at(dst)
	if err != nil {
		return driver.Info{}, err
	}
	from, fromName, err := b.at(src)
	if err != nil {
		return driver.Info{}, err
	}
	if dst == src || opt.IfAbsent && opt.IfMatch != "" {
		return driver.Info{}, fmt.Errorf("copy %s to %s: %w", src, dst, driver.ErrInvalid)
	}
	if err := awaitTime(ctx, opt.NotBefore); err != nil {
		return driver.Info{}, fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	size := opt.Size
	if size == 0 || size > maxCopy {
		was, err := b.Stat(ctx, src)
		if err != nil {
			return driver.Info{}, err
		}
		if size = was.Size; size > maxCopy {
			return b.copyAnew(ctx, dst, src, was, opt)
		}
	}
	w := b.newWrite(bucket, name, opt)
	in := &s3.CopyObjectInput{Bucket: bucket, Key: name, CopySource: copySource(*from, *fromName), MetadataDirective: types.MetadataDirectiveReplace,
		ContentType: orNil(opt.ContentType), CacheControl: orNil(opt.CacheControl), Metadata: w.metadata()}
	in.IfNoneMatch, in.IfMatch = conditions(opt)
	missing := false
	info, err := w.do(ctx, size, func(ctx context.Context) (*string, *time.Time, error) {
		out, err := b.client.CopyObject(ctx, in)
		if err != nil {
			missing = status(err) == http.StatusNotFound
			return nil, nil, err
		}
		return out.CopyObjectResult.ETag, out.CopyObjectResult.LastModified, nil
	})
	if missing { // S3 answers alike for a missing source and a missing destination
		if _, gone := b.Stat(ctx, src); gone != nil {
			err = gone
		}
	}
	if err != nil {
		return driver.Info{}, fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	info.Key = dst
	return info, nil
}

// copySource returns the value of the header x-amz-copy-source, in which a plus would be
// a space.
func copySource(bucket, name string) *string {
	escaped := strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(name))
	return aws.String(bucket + "/" + escaped)
}

// List implements driver.Blobs.
func (b *Blobs) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		places := make([]string, 0, len(b.buckets))
		for place := range b.buckets {
			places = append(places, place)
		}
		slices.Sort(places)
		for _, place := range places {
			root := place + "/"
			inside, ok := strings.CutPrefix(prefix, root)
			if !ok {
				if inside = ""; !strings.HasPrefix(root, prefix) {
					continue
				}
			}
			start, inArea := strings.CutPrefix(after, root)
			if !inArea {
				if start = ""; after > root {
					continue // every key of the area sorts before after
				}
			}
			if !b.list(ctx, place, inside, start, yield) {
				return
			}
		}
	}
}

func (b *Blobs) list(ctx context.Context, place, prefix, after string, yield func(driver.Info, error) bool) bool {
	in := &s3.ListObjectsV2Input{Bucket: aws.String(b.buckets[place]), Prefix: orNil(b.under + prefix)}
	if after != "" {
		in.StartAfter = aws.String(b.under + after)
	}
	for {
		out, err := b.client.ListObjectsV2(ctx, in)
		if err != nil {
			yield(driver.Info{}, fmt.Errorf("list %s/%s: %w", place, prefix, err))
			return false
		}
		for _, o := range out.Contents {
			info := driver.Info{Key: place + "/" + strings.TrimPrefix(aws.ToString(o.Key), b.under), Size: aws.ToInt64(o.Size), ETag: aws.ToString(o.ETag), ModTime: aws.ToTime(o.LastModified)}
			if !yield(info, nil) {
				return false
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return true
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}

// maxDelete is DeleteObjects' limit.
const maxDelete = 1000

// Delete implements driver.Blobs.
func (b *Blobs) Delete(ctx context.Context, keys ...string) error {
	byBucket := map[string][]types.ObjectIdentifier{}
	for _, key := range keys {
		bucket, name, err := b.at(key)
		if err != nil {
			return err
		}
		byBucket[*bucket] = append(byBucket[*bucket], types.ObjectIdentifier{Key: name})
	}
	for bucket, objects := range byBucket {
		for part := range slices.Chunk(objects, maxDelete) {
			out, err := b.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: part, Quiet: aws.Bool(true)}})
			if err != nil {
				return fmt.Errorf("delete of %d objects: %w", len(part), err)
			}
			for _, failed := range out.Errors {
				if aws.ToString(failed.Code) != "NoSuchKey" {
					return fmt.Errorf("delete %s: %s: %s", aws.ToString(failed.Key), aws.ToString(failed.Code), aws.ToString(failed.Message))
				}
			}
		}
	}
	return nil
}

// Sync implements driver.Blobs. S3 has no lazy changes: a change is durable when S3
// answers.
func (b *Blobs) Sync(context.Context) error { return nil }
