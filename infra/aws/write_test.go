package aws

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"aptless/core/engine/driver"
)

// TestUnsure holds the errors of refused puts, after a lost answer and without one.
func TestUnsure(t *testing.T) {
	for name, c := range map[string]struct {
		lost  int    // number of requests whose connection is cut
		slow  int    // number of throttled requests
		other string // writer of the existing object: "own", "other's" or ""
		want  error
		heads int64
	}{
		"refused at once":        {other: "other's", want: driver.ErrExists},
		"asked to slow down":     {slow: 1, other: "other's", want: driver.ErrExists},
		"own":                    {lost: 1, other: "own", heads: 1},
		"another's":              {lost: 1, other: "other's", want: errUnsure, heads: 1},
		"own, deleted meanwhile": {lost: 1, want: errUnsure, heads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			token, puts := "", 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					switch c.other {
					case "own":
						w.Header().Set("X-Amz-Meta-Write", token)
					case "":
						w.WriteHeader(http.StatusNotFound)
					}
					return
				}
				token = r.Header.Get("X-Amz-Meta-Write")
				if puts++; puts <= c.lost {
					panic(http.ErrAbortHandler)
				}
				if puts <= c.slow {
					w.WriteHeader(http.StatusServiceUnavailable)
					w.Write([]byte(`<Error><Code>SlowDown</Code></Error>`))
					return
				}
				w.WriteHeader(http.StatusPreconditionFailed)
				w.Write([]byte(`<Error><Code>PreconditionFailed</Code></Error>`))
			}))
			defer server.Close()
			for name, value := range environment {
				t.Setenv(name, value)
			}
			t.Setenv("AWS_MAX_ATTEMPTS", "3")
			d, err := Open(t.Context(), Config{PrivateBucket: "b", S3URL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			ctx, counted := driver.CountRequests(t.Context())
			_, err = d.Blobs.Put(ctx, "private/a", strings.NewReader("a"), driver.PutOptions{IfAbsent: true})
			if !errors.Is(err, c.want) || errors.Is(err, driver.ErrExists) != (c.want == driver.ErrExists) {
				t.Errorf("%v, want %v", err, c.want)
			}
			want := map[string]int64{"s3.PutObject": int64(c.lost+c.slow) + 1}
			if c.heads > 0 {
				want["s3.HeadObject"] = c.heads
			}
			if got := counted.Counts(); !maps.Equal(got, want) || !maps.Equal(d.Counts(), want) {
				t.Errorf("%v, %v, want %v", got, d.Counts(), want)
			}
		})
	}
}

// TestUploadThatLosesToAnotherIsNotCompletedTwice: S3 answers 409 to the completion of an
// upload beside another conditional write, and wants another upload. A put reports the
// error; a copy uploads again.
func TestUploadThatLosesToAnotherIsNotCompletedTwice(t *testing.T) {
	for name, value := range environment {
		t.Setenv(name, value)
	}
	begun, completed := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // An answer before the end of the body resets the connection.
		q := r.URL.Query()
		switch {
		case r.Method == http.MethodPost && q.Has("uploads"):
			begun++
			fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%d</UploadId></InitiateMultipartUploadResult>", begun)
		case r.Method == http.MethodPost:
			if completed++; completed == 1 {
				w.WriteHeader(http.StatusConflict)
				io.WriteString(w, "<Error><Code>ConditionalRequestConflict</Code></Error>")
				return
			}
			io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
		case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
			io.WriteString(w, `<CopyPartResult><ETag>"p"</ETag></CopyPartResult>`)
		case r.Method == http.MethodPut:
			w.Header().Set("ETag", `"p"`)
		}
	}))
	defer server.Close()
	d, err := Open(t.Context(), Config{PrivateBucket: "b", S3URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Blobs.Put(t.Context(), "private/a", io.LimitReader(zeros{}, partSize+1), driver.PutOptions{IfAbsent: true})
	if !busy(err) || begun != 1 || completed != 1 {
		t.Errorf("put: %v; %d uploads, %d completions", err, begun, completed)
	}
	begun, completed = 0, 0
	_, err = d.Blobs.copyAnew(t.Context(), "private/b", "private/a", driver.Info{Size: copyPart + 1}, driver.PutOptions{IfAbsent: true})
	if err != nil || begun != 2 || completed != 2 {
		t.Errorf("copy: %v; %d uploads, %d completions", err, begun, completed)
	}
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
