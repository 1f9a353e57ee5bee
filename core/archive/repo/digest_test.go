package repo_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/repo"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
	"aptless/core/formats/deb/debtest"
)

// TestLargeFileIsHashedInSlices imports a file that clients have put into the storage
// themselves. Its digests take more deliveries than one, and each step is made once.
func TestLargeFileIsHashedInSlices(t *testing.T) {
	for _, right := range []bool{true, false} {
		r := newRig(t)
		const step = 4 << 10
		uploads := &upload.Store{Table: r.env.Table, Blobs: r.env.Blobs, Pool: r.repos.Pool, Now: r.env.Clock.Now, Sliced: step}
		r.repos.Uploads = uploads
		data := debtest.Deb(debtest.Spec{Package: "big", Files: map[string]string{"usr/share/big": strings.Repeat("0123456789abcdef", 64*step/16)}, Compression: "none"})
		sum := sha256.Sum256(data)
		a := upload.Announced{Name: "big_1.0_all.deb", Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
		puts, err := uploads.Announce(t.Context(), &drivertest.Direct{Blobs: r.env.Blobs}, "d", []upload.Announced{a})
		if err != nil {
			t.Fatal(err)
		}
		if !right {
			data[len(data)/2] ^= 1
		}
		if _, err := r.env.Blobs.Put(t.Context(), puts[0].URL, bytes.NewReader(data), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := uploads.Confirm(t.Context(), "d", a); err != nil {
			t.Fatal(err)
		}
		now := func() time.Time { // a call takes a second
			r.env.Clock.Advance(time.Second)
			return r.env.Clock.Now()
		}
		r.dispatcher.Slice, r.tasks.Now, r.repos.Now = 10*time.Second, now, now
		spec, err := r.repos.CheckImport(t.Context(), repo.ImportArgs{Name: "r", Dir: "d"})
		got, deliveries := r.run(t, spec, err)
		if got.State != task.Succeeded || deliveries < 5 {
			t.Errorf("%v after %d deliveries: %s", got.State, deliveries, got.Error)
		}
		value, err := r.tasks.Value(t.Context(), got)
		if err != nil {
			t.Fatal(err)
		}
		if added := strings.Contains(string(value), "big_1.0_all added"); added != right || strings.Contains(string(value), "does not match its digest") == right {
			t.Errorf("right bytes: %v: %s", right, value)
		}
	}
}
