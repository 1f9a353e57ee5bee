package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"aptless/core/engine/driver"
)

var _ driver.Direct = (*Blobs)(nil)

// SignPut implements driver.Direct. A signed request expires with the credentials that
// signed it; the credentials of a function are renewed after hours.
func (b *Blobs) SignPut(ctx context.Context, key string, size int64, sha256 string, expires time.Duration) (driver.SignedPut, error) {
	bucket, name, err := b.at(key)
	if err != nil {
		return driver.SignedPut{}, err
	}
	sum, err := checksum(sha256)
	if err != nil || size < 0 {
		return driver.SignedPut{}, fmt.Errorf("sign a put of %d bytes with digest %.100q: %w", size, sha256, driver.ErrInvalid)
	}
	signed, err := s3.NewPresignClient(b.client).PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: name,
		ContentLength: &size, ChecksumSHA256: sum, IfNoneMatch: aws.String("*")}, s3.WithPresignExpires(expires))
	if err != nil {
		return driver.SignedPut{}, fmt.Errorf("sign a put of %s: %w", key, err)
	}
	return signedPut(signed), nil
}
