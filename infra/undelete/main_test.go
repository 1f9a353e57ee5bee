package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestUndelete holds that markers since the time are removed, on all pages, and older ones
// stay. A dry run removes none.
func TestUndelete(t *testing.T) {
	removed := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			data, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			removed += string(data)
			io.WriteString(w, "<DeleteResult></DeleteResult>")
			return
		}
		marker := func(key, version, at string) string {
			return fmt.Sprintf("<DeleteMarker><Key>%s</Key><VersionId>%s</VersionId><IsLatest>true</IsLatest><LastModified>%s</LastModified></DeleteMarker>", key, version, at)
		}
		if r.URL.Query().Get("key-marker") == "" {
			fmt.Fprintf(w, "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>pool/b</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>%s%s</ListVersionsResult>",
				marker("pool/a", "v1", "2026-11-27T09:59:59Z"), marker("pool/b", "v2", "2026-11-27T10:00:00Z"))
			return
		}
		fmt.Fprintf(w, "<ListVersionsResult><IsTruncated>false</IsTruncated>%s</ListVersionsResult>", marker("pool/c", "v3", "2026-11-27T12:00:00Z"))
	}))
	defer server.Close()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": server.URL, "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(name, value)
	}
	for _, dry := range []bool{true, false} {
		var out strings.Builder
		if err := run(t.Context(), "bucket", "2026-11-27T10:00:00Z", dry, &out); err != nil || out.String() != "pool/b\npool/c\n2 objects are back\n" {
			t.Errorf("dry %v: %q, %v", dry, out.String(), err)
		}
		if dry == (removed != "") {
			t.Errorf("dry %v: removed %q", dry, removed)
		}
	}
	for version, want := range map[string]bool{"v1": false, "v2": true, "v3": true} {
		if strings.Contains(removed, "<VersionId>"+version+"</VersionId>") != want {
			t.Errorf("%s is removed: %v; %s", version, !want, removed)
		}
	}
	if err := run(t.Context(), "bucket", "yesterday", true, io.Discard); err == nil {
		t.Error("a time without a form is taken")
	}
}
