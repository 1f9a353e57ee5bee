package aws

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSignedPut holds that a signed request stores exactly the announced bytes, once.
func TestSignedPut(t *testing.T) {
	t.Parallel()
	d := open(t)
	const content = "content of a package"
	sum := sha256.Sum256([]byte(content))
	key := fmt.Sprint("private/signed/", time.Now().UnixNano())
	signed, err := d.Blobs.SignPut(t.Context(), key, int64(len(content)), hex.EncodeToString(sum[:]), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	send := func(body string, drop string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, signed.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range signed.Headers {
			if !strings.EqualFold(name, drop) {
				r.Header.Set(name, value)
			}
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		io.Copy(io.Discard, answer.Body)
		return answer.StatusCode
	}
	for name, status := range map[string]int{
		"other bytes":       send(strings.ToUpper(content), ""),
		"fewer bytes":       send(content[1:], ""),
		"without digest":    send(content, "X-Amz-Checksum-Sha256"),
		"without condition": send(content, "If-None-Match"),
	} {
		if status < 400 || status >= 500 {
			t.Errorf("%s: answered with %d", name, status)
		}
	}
	if _, err := d.Blobs.Stat(t.Context(), key); err == nil {
		t.Error("a refused file is stored")
	}
	if status := send(content, ""); status != http.StatusOK {
		t.Errorf("the bytes signed for: answered with %d", status)
	}
	if status := send(content, ""); status != http.StatusPreconditionFailed {
		t.Errorf("the second time: answered with %d", status)
	}
	r, info, err := d.Blobs.Open(t.Context(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != content || info.Size != int64(len(content)) {
		t.Errorf("%q, %+v, %v", got, info, err)
	}
}
