package publish_test

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// sent records the sizes of the objects put under each key, and the keys copied
// to.
type sent struct {
	driver.Blobs
	lock   sync.Mutex
	put    map[string][]int64
	copied []string
}

func (s *sent) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	info, err := s.Blobs.Put(ctx, key, r, opt)
	if err == nil {
		s.lock.Lock()
		defer s.lock.Unlock()
		s.put[key] = append(s.put[key], info.Size)
	}
	return info, err
}

func (s *sent) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	info, err := s.Blobs.Copy(ctx, dst, src, opt)
	if err == nil {
		s.lock.Lock()
		defer s.lock.Unlock()
		s.copied = append(s.copied, dst)
	}
	return info, err
}

// TestBytesOfOneChange holds which bytes the process sends for a publication
// after one more package. Each changed file is sent once, by hash. The store copies
// the further digests and the name. Contents of the only component are copied from
// Contents of the distribution. No package file is sent.
func TestBytesOfOneChange(t *testing.T) {
	t.Parallel()
	const n = 2000
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	var packs []pack
	for i := range n {
		packs = append(packs, pack{fmt.Sprintf("package-%04d", i), "1", "amd64", fmt.Sprint(i)})
	}
	must(t, r.put("r", packs[1:]...), r.create(from("stable", "r")), r.put("r", packs...))
	to := &sent{Blobs: env.Blobs, put: map[string][]int64{}}
	env.Blobs = to
	r = newRig(t.Context(), env)
	must(t, r.update(at("stable")))

	var byHash, signed, rest int64
	files, digests, pool, names := 0, 0, 0, 0
	for key, sizes := range to.put {
		if len(sizes) != 1 {
			t.Errorf("%s is put %d times", key, len(sizes))
		}
		name := path.Base(key)
		switch {
		case strings.HasPrefix(key, "public/pool/"):
			t.Errorf("%s passes through the process", key)
		case strings.Contains(key, "/by-hash/SHA256/"):
			byHash += sizes[0]
			files++
		case !strings.HasPrefix(key, "public/"):
			rest += sizes[0]
		case name == "InRelease" || name == "Release.gpg" || key == "public/dists/stable/Release":
			signed += sizes[0]
		default:
			t.Errorf("%s is put", key)
		}
	}
	for _, key := range to.copied {
		switch {
		case strings.Contains(key, "/by-hash/"):
			digests++
		case strings.HasPrefix(key, "public/pool/"):
			pool++
		case strings.HasPrefix(key, "public/dists/stable/"):
			names++
		default:
			t.Errorf("%s is copied", key)
		}
	}
	if files != 4 || digests != 3*files+4 || names != files+1 || pool != 1 {
		t.Errorf("%d copies by digest and %d by name of %d files, %d of package files", digests, names, files, pool)
	}
	t.Logf("one more package beside %d: %d bytes by hash, %d signed, %d private", n-1, byHash, signed, rest)
}
