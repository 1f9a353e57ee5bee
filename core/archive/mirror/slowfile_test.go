package mirror_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// TestFileSlowerThanAFunction: the time of a function ends while it fetches the same file. The
// other files are fetched once. The update succeeds when the file comes in time, and fails
// after five attempts without progress. The next update then fetches that file only.
func TestFileSlowerThanAFunction(t *testing.T) {
	const function = 10 * time.Minute
	const n, attempts = 20, 6 // the first attempt makes progress: it reads the indexes
	for _, deaths := range []int{attempts - 1, attempts} {
		synctest.Test(t, func(t *testing.T) {
			env := drivertest.NewEnv()
			w := apptest.NewMirroring(t)
			w.Server.Set(tinyPackages(w, n))
			p, err := w.Start(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range [][2]string{{"/api/gpg/key", apptest.KeyBody(w.Signer)}, {"/api/mirrors", apptest.CreateMirror}} {
				if _, err := p.Do("POST", step[0], "application/json", []byte(step[1])); err != nil {
					t.Fatal(err)
				}
			}
			slow := fmt.Sprintf("p%05d_", n-1)
			asked, others := 0, 0
			w.Server.Fault = func(path string, _ int, data []byte) ([]byte, error) {
				switch {
				case strings.Contains(path, slow):
					if asked++; asked <= deaths {
						time.Sleep(2 * function)
					}
				case strings.HasPrefix(path, "pool/"):
					others++
				}
				return data, nil
			}
			update := func() {
				t.Helper()
				if _, err := p.Do("PUT", "/api/mirrors/m", "application/json", []byte("{}")); err != nil {
					t.Fatal(err)
				}
				for len(env.Memory.Queue.Pending()) > 0 {
					if p, err = w.Start(t.Context(), env); err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithTimeout(t.Context(), function)
					_, _ = env.Memory.Queue.Step(ctx, p.Dispatcher.Handle) // its error is the end of the time
					cancel()
					if due, ok := env.Memory.Queue.Due(); ok {
						env.Clock.Advance(max(0, due.Sub(env.Clock.Now())) + time.Minute)
					}
				}
			}
			update()
			given, want := 0, n
			if deaths == attempts {
				given, want = 1, 0
			}
			packages := func() int {
				data, err := p.Do("GET", "/api/mirrors/m/packages", "", nil)
				if err != nil && !strings.Contains(err.Error(), "mirror hasn't been downloaded yet") {
					t.Error(err)
				}
				return strings.Count(string(data), `"Pall p`)
			}
			if got := packages(); got != want || others != n-1 {
				t.Errorf("%d packages after %d requests for the slow file, want %d; %d requests for the others", got, asked, want, others)
			}
			data, err := p.Do("GET", "/api/tasks/1", "", nil)
			if err != nil || strings.Contains(string(data), `"State":3`) != (given == 1) {
				t.Errorf("%s, %v", data, err)
			}
			if given == 0 {
				return
			}
			update()
			if got := packages(); got != n || others != n-1 || asked != attempts+1 {
				t.Errorf("then %d packages, %d requests for the slow file, %d for the others", got, asked, others)
			}
		})
	}
}
