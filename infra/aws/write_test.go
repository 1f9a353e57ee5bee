package aws

import (
	"errors"
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
