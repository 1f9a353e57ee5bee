package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/infra/aws"
)

// cutter forwards requests. It cuts the connections of a number of changing requests
// after they were answered to it.
type cutter struct {
	pass http.Handler
	left atomic.Int64
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	seen := r.Method != http.MethodGet && r.Method != http.MethodHead && !q.Has("uploads") && !q.Has("partNumber")
	if !seen || c.left.Add(-1) < 0 {
		c.pass.ServeHTTP(w, r)
		return
	}
	c.pass.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// cut returns drivers and their cutter.
func cut(t *testing.T) (*aws.Drivers, func(requests int)) {
	t.Helper()
	config := alone(t).Config
	config.Queues = map[string]string{}
	var cutters []*cutter
	for _, service := range []*string{&config.S3URL, &config.DynamoDBURL, &config.SQSURL} {
		to, err := url.Parse(*service)
		if err != nil {
			t.Fatal(err)
		}
		c := &cutter{pass: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // the signature covers the header
		}}}
		server := httptest.NewServer(c)
		t.Cleanup(server.Close)
		cutters, *service = append(cutters, c), server.URL
	}
	d, err := aws.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context(), fmt.Sprintf("cut%d", opened.Add(1)), "default"); err != nil {
		t.Fatal(err)
	}
	return d, func(requests int) {
		for _, c := range cutters {
			c.left.Store(int64(requests))
		}
	}
}

// TestLostAnswers holds that a writer is not told of another writer if its own answer is
// lost and the request repeated.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	d, cutNext := cut(t)
	ctx := t.Context()
	part := fmt.Sprint("cut", time.Now().UnixNano())
	key := func(name string) string { return "private/" + part + "/" + name }
	large := bytes.Repeat([]byte("large "), 3<<20)
	put := func(name, content, match string) func() (driver.Info, error) {
		return func() (driver.Info, error) {
			return d.Blobs.Put(ctx, key(name), strings.NewReader(content), driver.PutOptions{IfAbsent: match == "", IfMatch: match})
		}
	}
	src, err := put("src", "content", "")()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		write func() (driver.Info, error)
		key   string
		want  string
	}{
		"put":          {put("a", "1", ""), "a", "1"},
		"put over":     {put("src", "changed", src.ETag), "src", "changed"},
		"put of parts": {put("large", string(large), ""), "large", string(large)},
	} {
		t.Run(name, func(t *testing.T) { lost(t, d, cutNext, c.write, key(c.key), c.want) })
	}
	t.Run("copy", func(t *testing.T) {
		lost(t, d, cutNext, func() (driver.Info, error) {
			return d.Blobs.Copy(ctx, key("copy"), key("a"), driver.PutOptions{IfAbsent: true, Size: 1})
		}, key("copy"), "1")
	})
	t.Run("rows", func(t *testing.T) {
		one, two := driver.Key{Part: part, Sort: "1"}, driver.Key{Part: part, Sort: "2"}
		for name, ops := range map[string][]driver.Op{"one": {{Key: one}}, "two": {{Key: two}, {Key: driver.Key{Part: part, Sort: "3"}}}} {
			cutNext(1)
			version, err := d.Table.Write(ctx, ops...)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if row, err := d.Table.Get(ctx, ops[0].Key); err != nil || row.Version != version {
				t.Errorf("%s: version %q, not %q, %v", name, row.Version, version, err)
			}
		}
	})
}

// TestLostAnswerOfQueue holds that a message comes once if the answer to its sender or to
// its receiver is lost.
func TestLostAnswerOfQueue(t *testing.T) {
	t.Parallel()
	d, cutNext := cut(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	send := func(id string) {
		if err := d.Queue.Send(ctx, driver.Message{Group: "g", ID: id, Body: id}); err != nil {
			t.Fatal(err)
		}
	}
	cutNext(1)
	send("first")
	send("second")
	cutNext(1) // the request that receives the first message
	var got []string
	d.Queue.Serve(ctx, 1, worker(d, func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		if got = append(got, m.Body); m.Body == "second" {
			stop()
		}
		return driver.Outcome{}, nil
	}), func(err error) { t.Log(err) })
	if !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("%v was delivered", got)
	}
}

// lost makes a write whose first answer is lost.
func lost(t *testing.T, d *aws.Drivers, cutNext func(int), write func() (driver.Info, error), key, want string) {
	t.Helper()
	cutNext(1)
	info, err := write()
	cutNext(0)
	if err != nil {
		t.Fatal(err)
	}
	r, is, err := d.Blobs.Open(t.Context(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != want || is.ETag != info.ETag || is.Size != info.Size {
		t.Errorf("%d bytes, %+v, not %+v, %v", len(got), is, info, err)
	}
	if _, err := write(); !errors.Is(err, driver.ErrExists) && !errors.Is(err, driver.ErrConflict) {
		t.Errorf("the second write: %v", err)
	}
}
