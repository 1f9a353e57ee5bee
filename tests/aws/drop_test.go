package aws

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/tests/apt"
)

// eventually waits until a condition holds.
func eventually(t *testing.T, about string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(about)
		}
	}
}

// TestDropBox: an object that is put into the drop box is imported and published, without
// a call of the API. A bad one is put aside. The functions need no further rights.
func TestDropBox(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil)
	name := fmt.Sprint("dropped", time.Now().UnixNano())
	p.must("POST", "/api/repos", `{"Name":"`+name+`"}`)
	p.must("POST", "/api/publish", `{"SourceKind":"local","Distribution":"`+name+`","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}]}`)
	p.must("PUT", "/api/repos/"+name+"/drop", `{"Publish":["./`+name+`"]}`)
	put := func(file string, data []byte) {
		t.Helper()
		if _, err := p.drivers.Blobs.Put(t.Context(), "drop/drop/"+name+"/"+file, bytes.NewReader(data), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("dropped_1_all.deb", debtest.Deb(debtest.Spec{Package: "dropped", Version: "1"}))
	put("large_1_all.deb", debtest.Deb(debtest.Spec{Package: "large", Version: "1", Compression: "none", Files: map[string]string{"usr/share/large": strings.Repeat("x", 20<<20)}})) // in parts
	put("bad_1_all.deb", []byte("no package"))
	objects := func(prefix string) string {
		var list []string
		for info, err := range p.drivers.Blobs.List(t.Context(), prefix+name+"/", "") {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, strings.TrimPrefix(info.Key, prefix+name+"/"))
		}
		return strings.Join(list, " ")
	}
	eventually(t, "files stay in the drop box", func() bool { return objects("drop/drop/") == "" })
	if got := objects("drop/failed/"); got != "bad_1_all.deb bad_1_all.deb.error.txt" {
		t.Errorf("put aside: %q", got)
	}
	resp, err := http.Get(p.public.URL + "/dists/" + name + "/main/binary-amd64/Packages")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	tree := apt.Tree{Fetch: apt.FetchHTTP(http.DefaultClient, p.public.URL)}
	if err := tree.Verify(t.Context(), name); err != nil {
		t.Error(err)
	}
	data := p.must("GET", "/api/repos/"+name+"/packages", "")
	if !strings.Contains(string(data), " dropped 1 ") || !strings.Contains(string(data), " large 1 ") || resp.StatusCode != http.StatusOK {
		t.Errorf("%s, index %d", data, resp.StatusCode)
	}
	data = p.must("GET", "/api/audit?path=drop/drop/"+name+"/dropped_1_all.deb", "")
	if !strings.Contains(string(data), `"ID":"000000000000"`) {
		t.Errorf("audit: %s", data)
	}
	status, data, err := p.send("POST", "/api/upload/"+name+"?publish=./"+name+"&file=sent_1_all.deb", "application/octet-stream", debtest.Deb(debtest.Spec{Package: "sent", Version: "1"}))
	if err != nil || status != http.StatusOK || !strings.Contains(string(data), "sent_1_all added") {
		t.Errorf("a delivery that publishes: %d %s, %v", status, data, err)
	}
}
