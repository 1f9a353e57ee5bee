package aws

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/localstack"
)

// The sizes of TestShortFunctions. `make test-aws-slices` runs it with 50,000
// packages and 10,000 snapshots.
var (
	slicePackages  = flag.Int("slice-packages", 400, "packages that TestShortFunctions imports in one call")
	sliceSnapshots = flag.Int("slice-snapshots", 100, "snapshots that TestShortFunctions has collected")
)

// shortTimeout is the timeout of functions in TestShortFunctions.
const shortTimeout = 20 * time.Second

// TestShortFunctions imports many packages in one call and collects many snapshots, with a
// function timeout of 20 s. Both tasks end, in as many slices as they need.
func TestShortFunctions(t *testing.T) {
	t.Parallel()
	packages, snapshots := *slicePackages, *sliceSnapshots
	if testing.Short() {
		packages, snapshots = 60, 10
	}
	name := fmt.Sprint("slices", time.Now().UnixNano()) // all tests share the table
	p := deploy(t, 0, nil, func(o *localstack.Options) { o.Timeout = shortTimeout })
	p.must("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name))
	const batch = 200 // packages of an upload, smaller than the 6 MB of an event
	for first := 0; first < packages; first += batch {
		var some []debtest.Spec
		for n := first; n < min(first+batch, packages); n++ {
			some = append(some, debtest.Spec{Package: fmt.Sprintf("pkg%05d", n), Files: map[string]string{"usr/share/doc/" + fmt.Sprint(n): "text"}})
		}
		if err := p.upload(name, some...); err != nil {
			t.Fatal(err)
		}
	}
	p.ends("import", p.admit("POST", "/api/repos/"+name+"/file/"+name, ""))
	var keys []string
	if err := json.Unmarshal(p.must("GET", "/api/repos/"+name+"/packages", ""), &keys); err != nil || len(keys) != packages {
		t.Fatalf("%d packages, %v, want %d", len(keys), err, packages)
	}
	p.snapshots(name, keys, snapshots)
	for n := range snapshots / 2 {
		p.must("DELETE", fmt.Sprintf("/api/snapshots/%s-%05d", name, n), "")
	}
	p.ends("collection", p.admit("POST", "/api/db/cleanup", ""))
	var left []struct{ Name string }
	err := json.Unmarshal(p.must("GET", "/api/snapshots", ""), &left)
	left = slices.DeleteFunc(left, func(s struct{ Name string }) bool { return !strings.HasPrefix(s.Name, name) })
	if err != nil || len(left) != snapshots-snapshots/2 {
		t.Errorf("%v are left, %v, want %d snapshots", left, err, snapshots-snapshots/2)
	}
	last := fmt.Sprintf("/api/snapshots/%s-%05d/packages", name, snapshots-1)
	if err := json.Unmarshal(p.must("GET", last, ""), &keys); err != nil || len(keys) == 0 {
		t.Errorf("%d packages in the last snapshot, %v", len(keys), err)
	}
}

// snapshots makes snapshots of different packages, named after name, many at a time.
func (p *deployed) snapshots(name string, keys []string, n int) {
	p.t.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				refs, err := json.Marshal([]string{keys[i%len(keys)], keys[(i*7+1)%len(keys)], keys[(i*31+i/len(keys)+2)%len(keys)]})
				if err != nil {
					p.t.Error(err)
					return
				}
				body := fmt.Sprintf(`{"Name":"%s-%05d","PackageRefs":%s}`, name, i, refs)
				status, data, _, err := insist(func() (int, []byte, error) {
					return p.send(http.MethodPost, "/api/snapshots", "application/json", []byte(body))
				}, crowded)
				if err != nil || status >= 300 && !strings.Contains(string(data), "already exists") {
					p.t.Errorf("snapshot %d: %d %s, %v", i, status, data, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// ends waits for a task without a time limit, and logs its requests.
func (p *deployed) ends(name string, id int) {
	p.t.Helper()
	begun := time.Now()
	for {
		data, err := p.get(fmt.Sprintf("/api/tasks/%d", id))
		if err != nil {
			p.t.Fatal(err)
		}
		var task struct{ State int }
		if err := json.Unmarshal(data, &task); err != nil {
			p.t.Fatalf("%s: %v", data, err)
		}
		if task.State == 3 {
			output, _ := p.get(fmt.Sprintf("/api/tasks/%d/output", id))
			p.t.Fatalf("%s: %s", name, output)
		}
		if task.State == 2 {
			break
		}
		time.Sleep(time.Second)
	}
	var detail struct{ Requests map[string]int64 }
	data, err := p.get(fmt.Sprintf("/api/tasks/%d/detail", id))
	if err != nil || json.Unmarshal(data, &detail) != nil {
		p.t.Errorf("detail of %s: %s, %v", name, data, err)
	}
	line := fmt.Sprintf("%s: %s", name, time.Since(begun).Round(time.Second))
	for _, kind := range slices.Sorted(maps.Keys(detail.Requests)) {
		line += fmt.Sprintf(", %s %d", kind, detail.Requests[kind])
	}
	p.t.Log(line)
}
