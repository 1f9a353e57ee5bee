package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimitHoldsForAllRequests: two requests of 100 KB at 50,000 bytes a second take 4 s
// together, and their bodies arrive whole.
func TestLimitHoldsForAllRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l := &limiter{rate: 50_000, now: time.Now, sleep: pause}
		total := 0
		for range 2 {
			body, err := io.ReadAll(limitedBody{io.NopCloser(bytes.NewReader(make([]byte, 100_000))), l, t.Context()})
			if err != nil {
				t.Fatal(err)
			}
			total += len(body)
		}
		if took := time.Since(began); total != 200_000 || took < 3*time.Second || took > 4*time.Second {
			t.Errorf("%d bytes in %v", total, took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := io.ReadAll(limitedBody{io.NopCloser(bytes.NewReader(make([]byte, 100_000))), l, ctx}); err == nil {
			t.Error("a cancelled request goes on")
		}
	})
}

// TestLimitedRequestsArriveWhole, with their length.
func TestLimitedRequestsArriveWhole(t *testing.T) {
	got := int64(0)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if got = n; r.ContentLength != n {
			t.Errorf("length %d of %d bytes", r.ContentLength, n)
		}
	}))
	defer s.Close()
	c := http.Client{Transport: limiting{http.DefaultTransport, &limiter{rate: 1 << 40, now: time.Now, sleep: pause}}}
	resp, err := c.Post(s.URL, "text/plain", bytes.NewReader(make([]byte, 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got != 100_000 {
		t.Errorf("%d bytes", got)
	}
}
