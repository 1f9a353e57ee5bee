package aws

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"aptless/core/client"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
)

// TestSignedParts holds that a signed request stores exactly the part that it is for, and
// that the joined parts are the object.
func TestSignedParts(t *testing.T) {
	t.Parallel()
	d := open(t)
	key := fmt.Sprint("private/signed/", time.Now().UnixNano())
	contents := [][]byte{bytes.Repeat([]byte("0123456789abcdef"), driver.MinPart/16), []byte("the end")}
	id, err := d.Blobs.BeginParts(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for i, content := range contents {
		sum := sha256.Sum256(content)
		signed, err := d.Blobs.SignPart(t.Context(), key, id, driver.Part{Number: i + 1, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		put := func(body []byte) int {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, signed.URL, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range signed.Headers {
				r.Header.Set(name, value)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			io.Copy(io.Discard, answer.Body)
			return answer.StatusCode
		}
		for about, body := range map[string][]byte{"other bytes": bytes.ToUpper(content), "fewer bytes": content[1:]} {
			status := put(body)
			for range 20 { // the proxy of this machine may lose a refusal that comes before the body is read
				if status != http.StatusBadGateway {
					break
				}
				status = put(body)
			}
			if status < 400 || status >= 500 {
				t.Errorf("part %d, %s: answered with %d", i+1, about, status)
			}
		}
		for range 2 { // a client repeats a part whose answer was lost
			if status := put(content); status != http.StatusOK {
				t.Errorf("part %d: answered with %d", i+1, status)
			}
		}
	}
	parts, err := d.Blobs.Parts(t.Context(), key, id)
	if err != nil || len(parts) != 2 || parts[1].Number != 2 || parts[1].Size != 7 || parts[0].ETag == "" {
		t.Fatalf("%+v, %v", parts, err)
	}
	if err := d.Blobs.CompleteParts(t.Context(), key, id, parts); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Blobs.Parts(t.Context(), key, id); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("parts of a complete object: %v", err)
	}
	if err := d.Blobs.CompleteParts(t.Context(), key, id, parts); err != nil && !errors.Is(err, driver.ErrNotFound) && !errors.Is(err, driver.ErrExists) {
		t.Errorf("completed again: %v", err)
	}
	r, _, err := d.Blobs.Open(t.Context(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, bytes.Join(contents, nil)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if id, err = d.Blobs.BeginParts(t.Context(), key+"-aborted"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Blobs.AbortParts(t.Context(), key+"-aborted", id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Blobs.Parts(t.Context(), key+"-aborted", id); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("parts of an aborted object: %v", err)
	}
}

// TestLargeFileIsUploadedInPartsAndImported: the client goes on after it was interrupted,
// and no request through the gateway has the bytes.
func TestLargeFileIsUploadedInPartsAndImported(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil)
	p.must("POST", "/api/repos", `{"Name":"parted"}`)
	deb := debtest.Deb(debtest.Spec{Package: "parted", Files: map[string]string{"usr/share/parted": strings.Repeat("x", 65<<20)}, Compression: "none"})
	sum := sha256.Sum256(deb)
	opened, sent := 0, int64(0)
	file := client.Local{Name: "parted_1.0_all.deb", Size: int64(len(deb)), SHA256: hex.EncodeToString(sum[:]),
		Open: func() (io.ReadCloser, error) {
			if opened++; opened == 4 { // both digests and the first part are read before
				return nil, errors.New("interrupted")
			}
			return struct {
				io.ReadSeeker
				io.Closer
			}{bytes.NewReader(deb), io.NopCloser(nil)}, nil
		},
		Sent: func(n int64) { sent = n },
	}
	c := &client.Client{URL: p.api.URL, HTTP: http.DefaultClient, OnePut: 1 << 20,
		Authorize: func(r *http.Request) error { r.Header.Set("Authorization", "Bearer "+p.token); return nil }}
	if err := c.Upload(t.Context(), "in", file); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Fatalf("%v after %d reads", err, opened)
	}
	before := opened
	if err := c.Upload(t.Context(), "in", file); err != nil {
		t.Fatal(err)
	}
	if n := opened - before; n != 2 || sent != file.Size {
		t.Errorf("%d reads of the file after the interruption, want the digest and the bytes of one part; %d bytes sent", n, sent)
	}
	data := p.must("POST", "/api/repos/parted/file/in", "")
	if !strings.Contains(string(data), "parted_1.0_all added") {
		t.Errorf("%s", data)
	}
}
