package deliver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

const publication = `{"SourceKind":"local","Distribution":"stable","Sources":[{"Name":"r"}]}`

// ready makes a published repository with one package.
func ready(p *apptest.Process) error {
	return errors.Join(p.Step("POST", "/api/repos", `{"Name":"r"}`),
		p.Upload("d", map[string][]byte{"aa_1_amd64.deb": apptest.Deb("aa", "1", "amd64")}),
		p.Step("POST", "/api/repos/r/file/d", ""), p.Step("POST", "/api/publish/:.", publication))
}

// send sends packages as a delivery and drains the queue.
func send(p *apptest.Process, files map[string][]byte) error {
	body, contentType, err := apptest.FormOf(files)
	if err != nil {
		return err
	}
	if _, err := p.Do("POST", "/api/upload/r?publish=./stable", contentType, body); err != nil {
		return err
	}
	return p.Drain()
}

// published returns the number of packages in the repository, and of published
// ones.
func published(p *apptest.Process) (have, shown int, err error) {
	data, err := p.Do("GET", "/api/repos/r/packages", "", nil)
	if err != nil {
		return 0, 0, err
	}
	index, err := p.Do("GET", "/dists/stable/main/binary-amd64/Packages", "", nil)
	return strings.Count(string(data), "Pamd64"), strings.Count(string(index), "Package: "), err
}

// TestDeliverySurvivesEveryFault breaks each storage call of a delivery once. The
// next process ends the delivery. Repository and publication agree in the end.
func TestDeliverySurvivesEveryFault(t *testing.T) {
	t.Parallel()
	signer := apptest.Signer(t)
	files := map[string][]byte{"bb_1_amd64.deb": apptest.Deb("bb", "1", "amd64"), "cc_1_amd64.deb": apptest.Deb("cc", "1", "amd64")}
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			return ready(p)
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			return send(p, files)
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Resume(); err != nil {
				return err
			}
			have, shown, err := published(p)
			if err != nil || have != shown {
				return fmt.Errorf("%d packages, %d published, %v", have, shown, err)
			}
			if have == 1 { // the admission failed, so the client repeats it
				return send(p, files)
			}
			return nil
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := apptest.Start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			if have, shown, err := published(p); err != nil || have != 3 || shown != 3 {
				return fmt.Errorf("%d packages, %d published, %v", have, shown, err)
			}
			if _, err := apptest.VerifyTree(env.Memory.Objects("public/"), "stable"); err != nil {
				return err
			}
			return p.Ended()
		},
	})
}

// TestDeliveryGoesOnInSlices delivers 130 packages in slices of a few. One commit
// publishes all.
func TestDeliveryGoesOnInSlices(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := ready(p); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for i := range 130 {
		name := fmt.Sprintf("p%04d", i)
		files[name+"_1_amd64.deb"] = apptest.Deb(name, "1", "amd64")
	}
	body, contentType, err := apptest.FormOf(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Do("POST", "/api/upload/r?publish=./stable", contentType, body); err != nil {
		t.Fatal(err)
	}
	p.Dispatcher.Slice = 20 * time.Second
	p.Dispatcher.Store.Now = func() time.Time {
		env.Clock.Advance(time.Second)
		return env.Clock.Now()
	}
	deliveries := 0
	for range 200 {
		delivered, err := env.Memory.Queue.Step(t.Context(), p.Dispatcher.Handle)
		if err != nil {
			t.Fatal(err)
		}
		if !delivered {
			due, ok := env.Memory.Queue.Due()
			if !ok {
				break
			}
			env.Clock.Advance(due.Sub(env.Clock.Now()))
			continue
		}
		deliveries++
		have, shown, err := published(p)
		if err != nil || have != 1 && have != 131 || shown > have {
			t.Fatalf("after %d deliveries: %d packages, %d published, %v", deliveries, have, shown, err)
		}
	}
	if have, shown, err := published(p); err != nil || have != 131 || shown != 131 || deliveries < 3 {
		t.Errorf("after %d deliveries: %d packages, %d published, %v", deliveries, have, shown, err)
	}
	if err := p.Ended(); err != nil {
		t.Error(err)
	}
}

// TestDeliveriesAndOtherTasksLoseNothing runs deliveries, imports and updates
// concurrently. All succeed, and no package is lost.
func TestDeliveriesAndOtherTasksLoseNothing(t *testing.T) {
	r := newRig(t)
	var all sync.WaitGroup
	ask := func(method, path, contentType string, body []byte) {
		all.Go(func() {
			req := httptest.NewRequestWithContext(r.Ctx, method, path, bytes.NewReader(body))
			req.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			r.Handler.ServeHTTP(w, req)
			if w.Code != 200 {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		})
	}
	for i := range 4 {
		plain, both := fmt.Sprintf("plain%d", i), fmt.Sprintf("both%d", i)
		r.MustUpload(t, plain, map[string][]byte{plain + "_1_amd64.deb": apptest.Deb(plain, "1", "amd64")})
		ask("POST", "/api/repos/r/file/"+plain, "", nil)
		ask("PUT", "/api/publish/:./stable", "application/json", []byte("{}"))
		ask("POST", "/api/upload/r?publish=./stable&file="+both+"_1_amd64.deb", "application/octet-stream", apptest.Deb(both, "1", "amd64"))
	}
	all.Wait()
	r.Must(t, "PUT", "/api/publish/:./stable", "{}", nil)
	if index := r.File(t, "/"+stableIndex); strings.Count(index, "Package: ") != 9 {
		t.Errorf("published:\n%s", index)
	}
	if rows := r.memory.Rows("upload"); len(rows) > 0 {
		t.Errorf("uploads are left: %v", rows)
	}
}
