package aws

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"aptless/core/engine/driver"
)

// answersPrefix is the key prefix of long answers. The bucket's lifecycle removes them
// after a day.
const answersPrefix = "private/answers/"

// answerFor is the lifetime of the URL of a long answer.
const answerFor = 15 * time.Minute

// PutAnswer stores a long answer under a random name, and returns a signed URL for it.
// The answer has the media type and the encoding of the URL, not of the object.
func (b *Blobs) PutAnswer(ctx context.Context, r io.Reader, contentType, encoding string) (string, error) {
	key := answersPrefix + rand.Text()
	if _, err := b.Put(ctx, key, r, driver.PutOptions{CacheControl: "private, no-store"}); err != nil {
		return "", err
	}
	bucket, name, err := b.at(key)
	if err != nil {
		return "", err
	}
	signed, err := s3.NewPresignClient(b.client).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: name,
		ResponseContentType: orNil(contentType), ResponseContentEncoding: orNil(encoding)}, s3.WithPresignExpires(answerFor))
	if err != nil {
		return "", fmt.Errorf("sign the URL of an answer: %w", err)
	}
	return signed.URL, nil
}
