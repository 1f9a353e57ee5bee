package aws

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"aptless/core/engine/driver"
)

// checksum returns a digest in the form of S3's headers. ErrInvalid: it is no SHA-256.
func checksum(sha256 string) (*string, error) {
	sum, err := hex.DecodeString(sha256)
	if err != nil || len(sum) != 32 {
		return nil, fmt.Errorf("digest %.100q: %w", sha256, driver.ErrInvalid)
	}
	return aws.String(base64.StdEncoding.EncodeToString(sum)), nil
}

// signedPut returns a presigned request for clients. HTTP clients set the headers Host and
// Content-Length themselves.
func signedPut(signed *v4.PresignedHTTPRequest) driver.SignedPut {
	put := driver.SignedPut{URL: signed.URL, Headers: map[string]string{}}
	for header, values := range signed.SignedHeader {
		if !strings.EqualFold(header, "Host") && !strings.EqualFold(header, "Content-Length") {
			put.Headers[header] = values[0]
		}
	}
	return put
}

// BeginParts implements driver.Direct.
func (b *Blobs) BeginParts(ctx context.Context, key string) (string, error) {
	bucket, name, err := b.at(key)
	if err != nil {
		return "", err
	}
	out, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: name, ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
	if err != nil {
		return "", fmt.Errorf("begin %s in parts: %w", key, err)
	}
	return aws.ToString(out.UploadId), nil
}

// SignPart implements driver.Direct.
func (b *Blobs) SignPart(ctx context.Context, key, id string, part driver.Part, expires time.Duration) (driver.SignedPut, error) {
	bucket, name, err := b.at(key)
	if err != nil {
		return driver.SignedPut{}, err
	}
	sum, err := checksum(part.SHA256)
	if err != nil || part.Number < 1 || part.Number > driver.MaxParts || part.Size < 0 {
		return driver.SignedPut{}, fmt.Errorf("sign part %d of %s: %w", part.Number, key, driver.ErrInvalid)
	}
	signed, err := s3.NewPresignClient(b.client).PresignUploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: name, UploadId: &id,
		PartNumber: aws.Int32(int32(part.Number)), ContentLength: &part.Size, ChecksumSHA256: sum}, s3.WithPresignExpires(expires))
	if err != nil {
		return driver.SignedPut{}, fmt.Errorf("sign part %d of %s: %w", part.Number, key, err)
	}
	return signedPut(signed), nil
}

// Parts implements driver.Direct.
func (b *Blobs) Parts(ctx context.Context, key, id string) ([]driver.Part, error) {
	bucket, name, err := b.at(key)
	if err != nil {
		return nil, err
	}
	in := &s3.ListPartsInput{Bucket: bucket, Key: name, UploadId: &id}
	var parts []driver.Part
	for {
		out, err := b.client.ListParts(ctx, in)
		if err != nil {
			return nil, partsError(err, "list the parts of "+key)
		}
		for _, p := range out.Parts {
			sum, err := base64.StdEncoding.DecodeString(aws.ToString(p.ChecksumSHA256))
			if err != nil {
				return nil, fmt.Errorf("list the parts of %s: digest %.100q", key, aws.ToString(p.ChecksumSHA256))
			}
			parts = append(parts, driver.Part{Number: int(aws.ToInt32(p.PartNumber)), Size: aws.ToInt64(p.Size), SHA256: hex.EncodeToString(sum), ETag: aws.ToString(p.ETag)})
		}
		if !aws.ToBool(out.IsTruncated) {
			return parts, nil
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
}

// CompleteParts implements driver.Direct. S3 may take minutes for thousands of parts. A
// call that was cut off goes on in S3, and a repeated call finds its result.
func (b *Blobs) CompleteParts(ctx context.Context, key, id string, parts []driver.Part) error {
	bucket, name, err := b.at(key)
	if err != nil {
		return err
	}
	done := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		sum, err := checksum(p.SHA256)
		if err != nil {
			return err
		}
		done[i] = types.CompletedPart{ETag: &p.ETag, PartNumber: aws.Int32(int32(p.Number)), ChecksumSHA256: sum}
	}
	_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: name, UploadId: &id,
		IfNoneMatch: aws.String("*"), MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	switch {
	case err == nil:
		return nil
	case status(err) == http.StatusPreconditionFailed:
		err = driver.ErrExists
	}
	return partsError(err, "complete "+key)
}

// AbortParts implements driver.Direct.
func (b *Blobs) AbortParts(ctx context.Context, key, id string) error {
	bucket, name, err := b.at(key)
	if err != nil {
		return err
	}
	_, err = b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: name, UploadId: &id})
	if err == nil || code(err) == "NoSuchUpload" {
		return nil
	}
	return fmt.Errorf("abort %s: %w", key, err)
}

// partsError maps the error of a call for a begun object to the port's errors.
func partsError(err error, about string) error {
	if code(err) == "NoSuchUpload" {
		err = driver.ErrNotFound
	}
	return fmt.Errorf("%s: %w", about, err)
}
