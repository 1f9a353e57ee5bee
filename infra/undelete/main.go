// Command undelete brings back the objects of a bucket with versions that were deleted since
// a time. It is a step of a restore: see docs/operating.md.
//
//	undelete -bucket NAME -since 2026-11-27T10:00:00Z [-dry-run]
//
// An object is back when its delete marker is removed. Objects that were replaced since keep
// their newest bytes: the objects that aptless refers to never change.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func main() {
	bucket := flag.String("bucket", "", "name of the bucket")
	since := flag.String("since", "", "time of the state to restore, as 2026-11-27T10:00:00Z")
	dry := flag.Bool("dry-run", false, "only print the keys")
	flag.Parse()
	if err := run(context.Background(), *bucket, *since, *dry, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "undelete:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bucket, since string, dry bool, out io.Writer) error {
	at, err := time.Parse(time.RFC3339, since)
	if err != nil || bucket == "" {
		return fmt.Errorf("-bucket and -since are needed, as 2026-11-27T10:00:00Z: %q, %q", bucket, since)
	}
	sdk, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	back, err := undelete(ctx, s3.NewFromConfig(sdk), bucket, at, dry, out)
	if err == nil {
		_, err = fmt.Fprintf(out, "%d objects are back\n", back)
	}
	return err
}

// undelete removes the delete markers since a time, and returns their number. The newest
// version below a marker is then the object.
func undelete(ctx context.Context, client *s3.Client, bucket string, since time.Time, dry bool, out io.Writer) (back int, err error) {
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return back, err
		}
		var markers []types.ObjectIdentifier
		for _, m := range page.DeleteMarkers {
			if aws.ToTime(m.LastModified).Before(since) {
				continue
			}
			if _, err := fmt.Fprintln(out, aws.ToString(m.Key)); err != nil {
				return back, err
			}
			markers = append(markers, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if back += len(markers); dry || len(markers) == 0 {
			continue
		}
		done, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: markers, Quiet: aws.Bool(true)}})
		if err != nil {
			return back, err
		}
		if len(done.Errors) > 0 {
			return back, fmt.Errorf("%s: %s", aws.ToString(done.Errors[0].Key), aws.ToString(done.Errors[0].Message))
		}
	}
	return back, nil
}
