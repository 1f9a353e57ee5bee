package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"aptless/core/engine/driver"
)

const (
	partSize   = 16 << 20  // bytes of a part; smaller objects are put with one request
	maxParts   = 10_000    // parts of an upload
	maxCopy    = 5 << 30   // CopyObject's limit in bytes
	copyPart   = 512 << 20 // bytes of a part of a larger copy
	copiers    = 16        // parts that are copied at the same time
	abortAfter = 30 * time.Second
)

// Put implements driver.Blobs. An object of up to partSize bytes is one request, and S3
// verifies its digest. A larger one is uploaded in parts, of which one is in memory.
func (b *Blobs) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	bucket, name, err := b.at(key)
	if err != nil {
		return driver.Info{}, err
	}
	if opt.IfAbsent && opt.IfMatch != "" {
		return driver.Info{}, fmt.Errorf("put %s: both conditions: %w", key, driver.ErrInvalid)
	}
	if err := awaitTime(ctx, opt.NotBefore); err != nil {
		return driver.Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	p := &put{Blobs: b, bucket: bucket, name: name, opt: opt, sum: sha256.New(), body: readerOf(ctx, r)}
	info, err := p.run(ctx)
	if err != nil {
		return driver.Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	info.Key = key
	return info, nil
}

// clockLag is how much earlier the clock of S3 may be than that of this process. Both are
// synchronized to milliseconds, and a store on a file system rounds down to its ticks.
const clockLag = 100 * time.Millisecond

// awaitTime waits until a time, which is seconds ahead at most: S3 sets the times of
// objects.
func awaitTime(ctx context.Context, until time.Time) error {
	wait := time.Until(until) + clockLag
	if until.IsZero() || wait <= 0 {
		return ctx.Err()
	}
	return sleep(ctx, min(wait, time.Minute))
}

// readerOf returns a reader that fails when ctx is done.
func readerOf(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// put is one call of Put.
type put struct {
	*Blobs
	bucket, name *string
	opt          driver.PutOptions
	body         io.Reader
	sum          hash.Hash
	size         int64
	buffer       bytes.Buffer
}

// next reads a part; last reports whether it is the last. Its memory grows with the data
// that arrives.
func (p *put) next() (part []byte, last bool, err error) {
	p.buffer.Reset()
	n, err := io.CopyN(io.MultiWriter(&p.buffer, p.sum), p.body, partSize)
	p.size += n
	switch {
	case err == io.EOF: // a truncated body ends with io.ErrUnexpectedEOF
		return p.buffer.Bytes(), true, nil
	case err == nil && p.opt.Size > 0 && p.size > p.opt.Size:
		return nil, false, driver.ErrDigest
	}
	return p.buffer.Bytes(), false, err
}

// check compares the data with the announced size and digest.
func (p *put) check() error {
	if p.opt.Size > 0 && p.size != p.opt.Size || p.opt.SHA256 != "" && hex.EncodeToString(p.sum.Sum(nil)) != p.opt.SHA256 {
		return driver.ErrDigest
	}
	return nil
}

func (p *put) run(ctx context.Context) (driver.Info, error) {
	part, last, err := p.next()
	if err != nil {
		return driver.Info{}, err
	}
	if !last {
		return p.parts(ctx, part)
	}
	if err := p.check(); err != nil {
		return driver.Info{}, err
	}
	w := p.newWrite(p.bucket, p.name, p.opt)
	in := &s3.PutObjectInput{Bucket: p.bucket, Key: p.name, ContentType: orNil(p.opt.ContentType), CacheControl: orNil(p.opt.CacheControl),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(p.sum.Sum(nil))), Metadata: w.metadata()}
	in.IfNoneMatch, in.IfMatch = conditions(p.opt)
	return w.do(ctx, p.size, func(ctx context.Context) (*string, *time.Time, error) {
		in.Body = bytes.NewReader(part)
		out, err := p.client.PutObject(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		return out.ETag, nil, nil
	})
}

// parts uploads the first part and the following ones.
func (p *put) parts(ctx context.Context, first []byte) (info driver.Info, err error) {
	w := p.newWrite(p.bucket, p.name, p.opt)
	up, err := p.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: p.bucket, Key: p.name, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		ContentType: orNil(p.opt.ContentType), CacheControl: orNil(p.opt.CacheControl), Metadata: w.metadata()})
	if err != nil {
		return driver.Info{}, err
	}
	defer func() {
		if err != nil {
			p.abort(ctx, up.UploadId)
		}
	}()
	var done []types.CompletedPart
	for part, last := first, false; ; {
		number := int32(len(done) + 1)
		if number > maxParts {
			return driver.Info{}, fmt.Errorf("more than %d bytes: %w", int64(maxParts)*partSize, driver.ErrInvalid)
		}
		out, err := p.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: p.bucket, Key: p.name, UploadId: up.UploadId, PartNumber: &number,
			Body: bytes.NewReader(part), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
		if err != nil {
			return driver.Info{}, err
		}
		done = append(done, types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC32: out.ChecksumCRC32})
		if last {
			break
		}
		if part, last, err = p.next(); err != nil {
			return driver.Info{}, err
		}
		if last && len(part) == 0 {
			break
		}
	}
	if err := p.check(); err != nil {
		return driver.Info{}, err
	}
	return w.complete(ctx, up.UploadId, done, p.size)
}

// abort aborts an upload, even if ctx is done. The bucket's lifecycle rule removes an
// upload that could not be aborted.
func (p *put) abort(ctx context.Context, id *string) { p.abortUpload(ctx, p.bucket, p.name, id) }

func (b *Blobs) abortUpload(ctx context.Context, bucket, name, id *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortAfter)
	defer cancel()
	_, _ = b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: name, UploadId: id})
}

// copyAnew copies an object by parts. It begins anew if a concurrent conditional write has
// ended its upload.
func (b *Blobs) copyAnew(ctx context.Context, dst, src string, was driver.Info, opt driver.PutOptions) (driver.Info, error) {
	for n := 0; ; n++ {
		info, err := b.copyParts(ctx, dst, src, was, opt)
		if !busy(err) || n == maxRetries {
			return info, err
		}
		if err := pause(ctx, n); err != nil {
			return driver.Info{}, err
		}
	}
}

// copyParts copies an object that exceeds the limit of one request.
func (b *Blobs) copyParts(ctx context.Context, dst, src string, was driver.Info, opt driver.PutOptions) (info driver.Info, err error) {
	bucket, name, err := b.at(dst)
	if err != nil {
		return driver.Info{}, err
	}
	from, fromName, err := b.at(src)
	if err != nil {
		return driver.Info{}, err
	}
	w := b.newWrite(bucket, name, opt)
	up, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: name,
		ContentType: orNil(opt.ContentType), CacheControl: orNil(opt.CacheControl), Metadata: w.metadata()})
	if err != nil {
		return driver.Info{}, fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	defer func() {
		if err != nil {
			b.abortUpload(ctx, bucket, name, up.UploadId)
		}
	}()
	done := make([]types.CompletedPart, (was.Size+copyPart-1)/copyPart)
	group, copying := errgroup.WithContext(ctx)
	group.SetLimit(copiers)
	for i := range done {
		group.Go(func() error {
			offset, number := int64(i)*copyPart, int32(i+1)
			out, err := b.client.UploadPartCopy(copying, &s3.UploadPartCopyInput{Bucket: bucket, Key: name, UploadId: up.UploadId, PartNumber: &number,
				CopySource: copySource(*from, *fromName), CopySourceIfMatch: &was.ETag,
				CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", offset, min(offset+copyPart, was.Size)-1))})
			if err == nil {
				done[i] = types.CompletedPart{ETag: out.CopyPartResult.ETag, PartNumber: &number}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return driver.Info{}, fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	if info, err = w.complete(ctx, up.UploadId, done, was.Size); err != nil {
		return driver.Info{}, fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	info.Key = dst
	return info, nil
}
