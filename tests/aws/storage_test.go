package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/infra/aws"
	"aptless/tests/apt"
)

// TestStorage publishes to a prefix of another bucket, reads the tree as apt does, and
// drops it.
func TestStorage(t *testing.T) {
	t.Parallel()
	l := alone(t)
	name := fmt.Sprint("storage", time.Now().UnixNano())
	all, err := aws.ParseStorages(fmt.Sprintf("eu=s3://%s/%s/deb?region=us-east-1&endpoint=%s", l.Config.PublicBucket, name, l.Config.S3URL))
	if err != nil {
		t.Fatal(err)
	}
	p := serveBy(t, l, worker, func(error) {}, func(c *app.Config) {
		if c.Storages, err = aws.OpenStorages(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	})
	p.must("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name))
	if err := p.upload(name, debtest.Spec{Package: "hello", Version: "1.0"}); err != nil {
		t.Fatal(err)
	}
	p.must("POST", "/api/repos/"+name+"/file/"+name, "")
	var shown struct{ Storage, Prefix, Path string }
	answer := p.must("POST", "/api/publish/s3:eu:team", fmt.Sprintf(`{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":%q}]}`, name))
	if err := json.Unmarshal(answer, &shown); err != nil || shown.Storage != "s3:eu" || shown.Prefix != "team" {
		t.Errorf("%+v, %v", shown, err)
	}
	there := func(ctx context.Context, path string) ([]byte, error) { return p.fetch(ctx, name+"/deb/team/"+path) }
	if err := (apt.Tree{Fetch: there}).Verify(t.Context(), "stable"); err != nil {
		t.Error(err)
	}
	p.must("DELETE", "/api/publish/s3:eu:team/stable", "")
	for info, err := range p.drivers.Blobs.List(t.Context(), "public/"+name+"/", "") {
		t.Errorf("%s is left, %v", info.Key, err)
	}
}
