package repo_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestDamagedIsRefusedAndOddIsTold imports a folder. An archive that dpkg-deb
// cannot unpack fails with the reason. One that dpkg only refuses to install is
// added with a warning.
func TestDamagedIsRefusedAndOddIsTold(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		whole := debtest.Deb(debtest.Spec{Package: "cut", Version: "1", Files: map[string]string{"usr/share/cut": strings.Repeat("text", 1000)}, Compression: "gzip"})
		flipped := append([]byte{}, whole...)
		flipped[len(flipped)-12] ^= 0x55 // in the data
		got := importOf(t, s, "", map[string][]byte{
			"a_1_all.deb": apptest.Deb("aa", "1", "all"), "cut_1_all.deb": whole[:len(whole)-30], "flipped.deb": flipped, "half.deb": whole[:len(whole)/2],
			"odd_x1_all.deb": debtest.Deb(debtest.Spec{Package: "odd", Version: "x1"}), "z_1_all.deb": apptest.Deb("zz", "1", "all"),
		})
		const up = "/aptless/upload/d/"
		if want := "[aa_1_all added odd_x1_all added zz_1_all added]"; fmt.Sprint(got.Report.Added) != want {
			t.Errorf("%s, want %s", got.lines(), want)
		}
		if want := "[" + up + "cut_1_all.deb " + up + "flipped.deb " + up + "half.deb]"; fmt.Sprint(got.FailedFiles) != want {
			t.Errorf("%s, want %s", got.lines(), want)
		}
		for _, want := range []string{"Unable to read file " + up + "cut_1_all.deb: ", "Unable to read file " + up + "flipped.deb: ", "Unable to read file " + up + "half.deb: ",
			"File " + up + "odd_x1_all.deb is odd: dpkg refuses it: "} {
			if !strings.Contains(strings.Join(got.Report.Warnings, "\n"), want) {
				t.Errorf("no %q in %q", want, got.Report.Warnings)
			}
		}
		if len(got.Report.Warnings) != 4 {
			t.Errorf("warnings %q", got.Report.Warnings)
		}
		var left []string
		if s.Must(t, "GET", "/api/files/d", "", &left); strings.Join(left, " ") != "cut_1_all.deb flipped.deb half.deb" {
			t.Errorf("files %q", left)
		}
	})
}

// TestFiveDeathsEndAnImport imports a file that kills every process that reads
// it. The import fails with the reason. The repository and the uploads are
// unchanged, and no lock is held.
func TestFiveDeathsEndAnImport(t *testing.T) {
	p, env := many(t, 3)
	id := begin(t, p, "/api/repos/r/file/d")
	deaths := 0
	for range 5 {
		env = env.Restart()
		env.Clock.Advance(time.Hour) // the lease of the dead process expires
		var err error
		if p, err = apptest.Start(t.Context(), env, apptest.Signer(t)); err != nil {
			t.Fatal(err)
		}
		dead := false
		env.Faults.Suffer(&drivertest.Outage{For: 1000 * time.Hour, Now: env.Clock.Now, Match: func(call string) bool {
			dead = dead || strings.HasPrefix(call, "Blobs.Open "+pool.IncomingPrefix)
			return dead
		}})
		if err := p.Dispatcher.Resend(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		for !dead {
			if _, err := env.Memory.Queue.Step(t.Context(), p.Dispatcher.Handle); err != nil && !dead {
				t.Fatal(err)
			}
		}
		deaths++
	}
	env = env.Restart()
	env.Clock.Advance(time.Hour)
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err == nil {
		err = p.Resume()
	}
	if err != nil {
		t.Fatal(err)
	}
	got, _ := outcome(t, p, id)
	if got.State != task.Failed || !strings.Contains(got.Error, "given up after 5 attempts") {
		t.Errorf("after %d deaths: state %d %s", deaths, got.State, got.Error)
	}
	if data, err := p.Do("GET", "/api/repos/r/packages", "", nil); err != nil || string(data) != "[]" {
		t.Errorf("packages %s, %v", data, err)
	}
	if data, err := p.Do("GET", "/api/files/d", "", nil); err != nil || strings.Count(string(data), ".deb") != 3 {
		t.Errorf("files %s, %v", data, err)
	}
	if rows := env.Memory.Rows("lock"); len(rows) > 0 {
		t.Errorf("locks are left: %v", rows)
	}
	owesNothing(t, env)
}

// TestObjectsOfUploadsGoAfterAnOutage fails the removal of objects for hours
// after the rows are removed. The import succeeds with a warning. The tick
// removes the objects later.
func TestObjectsOfUploadsGoAfterAnOutage(t *testing.T) {
	p, env := many(t, 3)
	broken := &drivertest.Outage{For: 3 * time.Hour, Now: env.Clock.Now, Match: func(call string) bool {
		return strings.HasPrefix(call, "Blobs.Delete "+pool.IncomingPrefix)
	}}
	env.Faults.Suffer(broken)
	id := begin(t, p, "/api/repos/r/file/d")
	p.Drain() // fails because of the outage
	got, report := outcome(t, p, id)
	if broken.Met() == 0 || got.State != task.Succeeded || len(report.Report.Added) != 3 || len(got.Warnings) == 0 {
		t.Errorf("%d calls met the outage; state %d %s, warnings %q, %s", broken.Met(), got.State, got.Error, got.Warnings, report.lines())
	}
	if left := env.Memory.Objects(pool.IncomingPrefix); len(left) != 3 {
		t.Errorf("during the outage there are %d objects", len(left))
	}
	for range 5 {
		env.Clock.Advance(time.Hour)
		if err := p.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Drain()
	}
	if left := env.Memory.Objects(pool.IncomingPrefix); len(left) > 0 {
		t.Errorf("%d objects are left", len(left))
	}
	owesNothing(t, env)
}

// TestInclusionGoesOnInSlices includes many .changes in slices of a second. The
// report equals that of a single slice.
func TestInclusionGoesOnInSlices(t *testing.T) {
	p, env := many(t, 0)
	files := map[string][]byte{}
	const count = 30
	for i := range count {
		maps.Copy(files, changesOf(fmt.Sprintf("p%02d", i)))
	}
	if err := p.Upload("d", files); err != nil {
		t.Fatal(err)
	}
	id := begin(t, p, "/api/repos/r/include/d?acceptUnsigned=1")
	deliveries, _ := sliced(t, p, env)
	got, report := outcome(t, p, id)
	if got.State != task.Succeeded || len(report.Report.Added) != count || len(report.FailedFiles)+len(report.Report.Warnings) > 0 || !slices.IsSorted(report.Report.Added) {
		t.Errorf("state %d %s: %s", got.State, got.Error, report.lines())
	}
	if deliveries < 5 {
		t.Errorf("%d deliveries", deliveries)
	}
	if data, err := p.Do("GET", "/api/files", "", nil); err != nil || string(data) != "[]" {
		t.Errorf("files %s, %v", data, err)
	}
	owesNothing(t, env)
}

// TestPackageThatTakesLongIsImportedWithoutItsPaths: its time to unpack is over, so Contents
// lacks it. It is added with a warning, and published.
func TestPackageThatTakesLongIsImportedWithoutItsPaths(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m), func(c *app.Config) { c.UnpackTime = time.Nanosecond })
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 1) })
	s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
	got := importOf(t, s, "", map[string][]byte{"long_1_all.deb": debtest.Deb(debtest.Spec{Package: "long", Version: "1", Files: map[string]string{"usr/share/long": "text"}})})
	if fmt.Sprint(got.Report.Added) != "[long_1_all added]" || len(got.Report.Warnings) != 1 || !strings.Contains(got.Report.Warnings[0], "Contents will not have its paths: ") || !strings.Contains(got.Report.Warnings[0], "takes more time to unpack") {
		t.Errorf("%s", got.lines())
	}
	s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"r"}]}`, nil)
}
