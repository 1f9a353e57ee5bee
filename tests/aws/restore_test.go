package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/localstack"
	"aptless/tests/apt"
)

// rows returns a client of the substitute for DynamoDB.
func rows() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{BaseEndpoint: &local.Config.DynamoDBURL, Region: "us-east-1",
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: "k", SecretAccessKey: "s"}, nil
		})})
}

// copyTable makes a table with the rows of the deployment's table, as a restore to a point
// in time does.
func copyTable(t *testing.T, from *string, to string) {
	t.Helper()
	client := rows()
	was, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: from})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: &to, BillingMode: dynamodbtypes.BillingModePayPerRequest,
		AttributeDefinitions: was.Table.AttributeDefinitions, KeySchema: was.Table.KeySchema}); err != nil {
		t.Fatal(err)
	}
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: from})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &to, Item: item}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// objects returns the objects below a prefix.
func (p *deployed) objects(prefix string) map[string][]byte {
	p.t.Helper()
	all := map[string][]byte{}
	for info, err := range p.drivers.Blobs.List(p.t.Context(), prefix, "") {
		if err != nil {
			p.t.Fatal(err)
		}
		body, _, err := p.drivers.Blobs.Open(p.t.Context(), info.Key, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		if all[info.Key], err = io.ReadAll(body); err != nil {
			p.t.Fatal(err)
		}
		body.Close()
	}
	return all
}

// TestRestoreDrill goes through the restore of docs/operating.md: a state is lost by calls of
// the API and by deletions in both buckets. The table of an earlier time, the undeleted
// objects and a repair bring back the earlier state, byte for byte of package files.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	name := fmt.Sprint("drill", time.Now().UnixNano())
	p := deploy(t, 0, nil)
	p.must("POST", "/api/repos", `{"Name":"`+name+`"}`)
	spec := debtest.Spec{Package: "drilled", Version: "1.0+b1"}
	if err := p.upload(name, spec); err != nil {
		t.Fatal(err)
	}
	p.must("POST", "/api/repos/"+name+"/file/"+name, "")
	p.must("POST", "/api/publish/"+name, `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}]}`)
	key := p.key(name)

	// The point in time.
	restored := "restored-" + name
	copyTable(t, &p.local.Config.Table, restored)
	private := p.objects("private/")

	// The disaster: everything of the repository goes, and objects of both buckets.
	p.must("DELETE", "/api/publish/"+name+"/stable?force=1", "")
	p.must("DELETE", "/api/repos/"+name+"?force=1", "")
	for _, prefix := range []string{"private/pool/", "private/chunks/", "private/records/", "public/" + name + "/"} {
		for info, err := range p.drivers.Blobs.List(t.Context(), prefix, "") {
			if err == nil {
				err = p.drivers.Blobs.Delete(t.Context(), info.Key)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if status, _, err := p.send("GET", "/api/repos/"+name, "", nil); err != nil || status != http.StatusNotFound {
		t.Fatalf("after the disaster: %d, %v", status, err)
	}

	// The runbook: undelete, deploy with the restored table, repair, publish.
	for object, data := range private {
		if _, err := p.drivers.Blobs.Stat(t.Context(), object); err == nil {
			continue
		}
		if _, err := p.drivers.Blobs.Put(t.Context(), object, bytes.NewReader(data), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	again := deployOn(t, p.local, 0, nil, func(o *localstack.Options) { o.Values = map[string]string{"ExistingTable": restored} })
	again.must("POST", "/api/db/repair", "")
	if got := again.key(name); got != key {
		t.Errorf("the package is %s, and was %s", got, key)
	}
	tree := apt.Tree{Fetch: apt.FetchHTTP(http.DefaultClient, again.public.URL+"/"+name)}
	if err := tree.Verify(t.Context(), "stable"); err != nil {
		t.Errorf("after the repair: %v", err)
	}
	file := "/" + name + "/pool/main/d/drilled/" + debtest.FileName(spec)
	if code, body, _ := again.read(file); code != http.StatusOK || body != string(debtest.Deb(spec)) {
		t.Errorf("%s: %d, %d bytes", file, code, len(body))
	}
	again.must("PUT", "/api/publish/"+name+"/stable", `{"Label":"restored"}`)
	if err := tree.Verify(t.Context(), "stable"); err != nil {
		t.Errorf("after a publication: %v", err)
	}
	var shown []struct{ Name string }
	if err := json.Unmarshal(again.must("GET", "/api/repos", ""), &shown); err != nil || !slices.ContainsFunc(shown, func(r struct{ Name string }) bool { return strings.HasPrefix(r.Name, name) }) {
		t.Errorf("%+v, %v", shown, err)
	}
}
