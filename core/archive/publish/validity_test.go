package publish_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/publish"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver/drivertest"
)

func TestParseValidity(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "12h": 12 * time.Hour, "7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "3650d": 3650 * 24 * time.Hour} {
		if got, err := publish.ParseValidity(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"7", "d", "0d", "-1d", "+1d", "1.5d", "1m", "7 d", "3651d", "99999999999999999999d", "７d"} {
		_, err := publish.ParseValidity(text)
		if err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

// FuzzParseValidity holds that ParseValidity reads the text of ShowValidity.
func FuzzParseValidity(f *testing.F) {
	for _, text := range []string{"", "12h", "7d", "2w", "24h", "168h", "-1d", "9d9"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := publish.ParseValidity(text)
		if err != nil {
			return
		}
		if again, err := publish.ParseValidity(publish.ShowValidity(d)); err != nil || again != d {
			t.Errorf("%q is %v, shown as %q, which is %v, %v", text, d, publish.ShowValidity(d), again, err)
		}
	})
}

// TestExpires holds that Release files are made anew before they expire, once
// each. The new Release is of the published lists, and not of the source as it
// is by then.
func TestExpires(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	// tick runs the tasks that are due, and returns their number.
	tick := func() int {
		n, err := r.tick()
		must(t, err)
		return n
	}
	valid := func() (from, to string) {
		release := env.Memory.Objects("public/dists/stable/Release")["public/dists/stable/Release"]
		_, rest, _ := strings.Cut(release, "\nDate: ")
		from, rest, _ = strings.Cut(rest, "\n")
		if until, found := strings.CutPrefix(rest, "Valid-Until: "); found {
			to, _, _ = strings.Cut(until, "\n")
		}
		return from, to
	}
	week := 7 * 24 * time.Hour
	args := from("stable", "r")
	args.Options.ValidFor = &week
	must(t, r.put("r", hello), r.create(args), r.put("r", newer))
	if v, err := r.publish.Show(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "stable"}); err != nil || v.ValidFor != "1w" {
		t.Errorf("%+v, %v", v, err)
	}
	const form = "Mon, 2 Jan 2006 15:04:05 MST"
	check := func() time.Time {
		t.Helper()
		date, until := valid()
		begin, err := time.Parse(form, date)
		must(t, err)
		end, err := time.Parse(form, until)
		if must(t, err); end.Sub(begin) != week {
			t.Errorf("valid from %s to %s", date, until)
		}
		return begin
	}
	first := check()
	if n := tick(); n != 0 {
		t.Errorf("%d tasks at once", n)
	}
	env.Clock.Advance(4 * 24 * time.Hour)
	entry, err := calendar.Get(t.Context(), env.Table, "expiry/:./stable")
	must(t, err)
	plan, err := r.publish.PlanRefresh(t.Context(), entry)
	must(t, err)
	if n, err := r.admitDue(); err != nil || n != 1 {
		t.Fatalf("%d tasks, %v", n, err)
	}
	if n, err := r.admitDue(); err != nil || n != 0 {
		t.Errorf("%d more tasks of a second tick, %v", n, err)
	}
	must(t, env.Drain(t.Context(), r.dispatcher.Handle), r.run(plan.Spec, nil)) // the second finds nothing to do
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
	if again := check(); again.Sub(first) < 4*24*time.Hour {
		t.Errorf("made at %v, then at %v", first, again)
	}
	if revisions, err := r.publish.Revisions(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "stable"}); err != nil || len(revisions) != 2 {
		t.Errorf("%v, %v", revisions, err)
	}
	env.Clock.Advance(4 * 24 * time.Hour)
	if n, err := r.admitDue(); err != nil || n != 1 { // it dies before it has run
		t.Fatalf("%d tasks, %v", n, err)
	}
	_, err = r.tasks.Cancel(t.Context(), r.lastTask())
	must(t, err)
	env.Clock.Advance(time.Hour)
	if n := tick(); n != 1 {
		t.Errorf("%d tasks an hour later", n)
	}

	forEver := time.Duration(0)
	update := at("stable")
	update.Options.ValidFor = &forEver
	must(t, r.update(update))
	if _, until := valid(); until != "" || len(due(env)) > 0 {
		t.Errorf("valid until %q", until)
	}
	must(t, r.drop(at("stable")), r.create(args), r.drop(at("stable")))
	if rows := due(env); len(rows) > 0 {
		t.Errorf("%v", rows)
	}
	gone(t, env)
}

func TestSweepRefresh(t *testing.T) {
	t.Parallel()
	week := 7 * 24 * time.Hour
	args := from("stable", "r")
	args.Options.ValidFor = &week
	sweep(t,
		func(r *rig) error {
			if err := r.put("r", hello); err != nil {
				return err
			}
			if err := r.create(args); err != nil {
				return err
			}
			r.env.Clock.Advance(6 * 24 * time.Hour)
			return nil
		},
		func(r *rig) error {
			for range 2 { // a second time after the process that asked first is dead
				if n, err := r.tick(); n > 0 || err != nil {
					return err
				}
				r.env.Clock.Advance(time.Hour)
			}
			return errors.New("nothing is due")
		})
}
