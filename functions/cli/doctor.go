package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

// trouble is a fault that doctor has found, and its remedy.
type trouble struct {
	About  string `json:"about"` // the thing that has the fault, such as "publication ./stable"
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// doctor examines a server and the machines that read from it.
type doctor struct {
	*session
	client  *client.Client
	http    *http.Client
	sources string // pattern of the .sources files to examine
	now     time.Time
	found   []trouble
}

// Limits by which doctor judges.
const (
	clockSlack  = 30 * time.Second
	expiresSoon = 30 * 24 * time.Hour // of a key
	staleTask   = 15 * time.Minute
	leastFree   = 1 << 30 // bytes
	leastPart   = 20      // a twentieth of the disk
	fetchTime   = 20 * time.Second
	maxFetched  = 64 << 20 // bytes
)

func (s *session) doctorCommand() *cobra.Command {
	var sources string
	c := s.leaf("doctor", "Look for the faults that users make, and say how to mend them", count{0, 0}, func(ctx context.Context, _ []string) error {
		return s.doctor(ctx, sources)
	})
	c.Long = `Examine the connection, the clocks, the rights, keys, space, tasks, mirrors and each publication as apt reads it.
The .sources files of this machine that name the server are compared with the publications. The exit code is 1 if there is a fault.`
	c.Flags().StringVar(&sources, "sources", "/etc/apt/sources.list.d/*.sources", "pattern of the .sources files to examine")
	return c
}

// trouble adds a fault.
func (d *doctor) trouble(about, remedy, format string, args ...any) {
	d.found = append(d.found, trouble{about, fmt.Sprintf(format, args...), remedy})
}

func (s *session) doctor(ctx context.Context, sources string) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	if err := s.needsAptless(ctx, "doctor"); err != nil {
		return err // a server that is not reached has an exit code of its own
	}
	if _, err := filepath.Match(sources, ""); err != nil {
		return usagef("--sources=%s: %v", sources, err)
	}
	d := &doctor{session: s, client: c, http: &http.Client{Timeout: fetchTime}, sources: sources, now: s.env.Now(), found: []trouble{}}
	for _, examine := range []func(context.Context) error{d.clock, d.keys, d.status, d.mirrors, d.publications, d.machine} {
		if err := examine(ctx); err != nil {
			return err
		}
	}
	return s.printTroubles(d.found)
}

func (s *session) printTroubles(all []trouble) error {
	if s.opts.json {
		raw, err := json.Marshal(all)
		if err != nil {
			return err
		}
		if err := s.printer.json(raw); err != nil {
			return err
		}
	} else if len(all) == 0 {
		s.say("No fault is found.")
	} else {
		var rows [][]cell
		for _, t := range all {
			rows = append(rows, []cell{word(t.About), word(t.Text), word(t.Remedy)})
		}
		if err := s.printer.table([]string{"about", "fault", "remedy"}, rows); err != nil {
			return err
		}
	}
	if len(all) > 0 {
		return &silent{codeFailed}
	}
	return nil
}

// clock compares the clocks of this machine and of the server. apt refuses a Release of the
// future.
func (d *doctor) clock(ctx context.Context) error {
	a, err := client.Send(ctx, d.client, client.ShowVersion())
	if err != nil {
		return err
	}
	at, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return nil // a proxy has removed the header
	}
	if off := at.Sub(d.now).Abs(); off > clockSlack {
		d.trouble("clock", "timedatectl set-ntp true    # on the machine whose clock is wrong", "the clocks of this machine and of the server differ by %s", off.Round(time.Second))
	}
	return nil
}

func (d *doctor) keys(ctx context.Context) error {
	a, err := client.Send(ctx, d.client, client.ListSigningKeys())
	if err != nil {
		return err
	}
	if len(a.Value) == 0 {
		d.trouble("signing key", "aptless key generate, then aptless serve --key FILE", "the server has no signing key: apt refuses its publications")
	}
	for _, k := range a.Value {
		about, expired := "signing key "+k.Fingerprint, false
		if at, err := time.Parse(time.RFC3339, k.Expires); err == nil {
			switch {
			case at.Before(d.now):
				expired = true
				d.trouble(about, "aptless key rotate", "the key has expired on %s", at.Format(time.DateOnly))
			case at.Sub(d.now) < expiresSoon:
				d.trouble(about, "aptless key rotate", "the key expires on %s", at.Format(time.DateOnly))
			}
		}
		for _, p := range k.Problems {
			if p.Fatal && !expired {
				d.trouble(about, "aptless key lint", "apt refuses the key: %s", p.Text)
			}
		}
	}
	return nil
}

// status examines the report that the server makes of itself.
func (d *doctor) status(ctx context.Context) error {
	a, err := client.Send(ctx, d.client, client.ShowStatus())
	if code := client.StatusOf(err); code == http.StatusForbidden || code == http.StatusUnauthorized {
		d.trouble("rights", "aptless whoami    # an administrator can give metrics.read", "this token may not read the state of the server: space, tasks and mirrors are not examined")
		return nil
	}
	if err != nil {
		return err
	}
	v := a.Value
	if v.Total > 0 && v.Free < max(leastFree, v.Total/leastPart) {
		d.trouble("disk", "aptless db cleanup, or a larger disk", "%s of %s are free", bytesText(int64(v.Free)), bytesText(int64(v.Total)))
	}
	if at, err := time.Parse(time.RFC3339, v.Tasks.Oldest); err == nil && v.Now.Sub(at) > staleTask {
		d.trouble("tasks", "aptless task list", "a task has not ended since %s", at.Format(time.RFC3339))
	}
	if v.Tasks.Failed > 0 {
		d.trouble("tasks", "aptless task list", "%d tasks have failed in the last day", v.Tasks.Failed)
	}
	for _, e := range v.Expiring {
		switch left := e.At.Sub(v.Now); {
		case left < 0:
			d.trouble("publication "+e.Path, "aptless publish update "+quote(e.Path), "its Release has expired on %s: apt refuses it", e.At.Format(time.RFC3339))
		case left < 24*time.Hour:
			d.trouble("publication "+e.Path, "aptless publish update "+quote(e.Path), "its Release expires on %s", e.At.Format(time.RFC3339))
		}
	}
	for _, name := range v.NeverUpdated {
		d.trouble("mirror "+name, "aptless mirror update "+quote(name), "it was never updated")
	}
	for _, name := range v.Partial {
		d.trouble("mirror "+name, "aptless mirror update "+quote(name), "its last update did not take everything")
	}
	for _, path := range v.Owed {
		d.trouble("publication "+path, "aptless task list", "work is left after its last change")
	}
	return nil
}

// mirrors asks for the Release file of each mirror, from this machine.
func (d *doctor) mirrors(ctx context.Context) error {
	a, err := client.Send(ctx, d.client, client.ListMirrors())
	if err != nil {
		return err
	}
	for _, m := range a.Value {
		root := trimSlash(m.ArchiveRoot)
		address := root + "/dists/" + m.Distribution + "/"
		if len(m.Distribution) > 0 && m.Distribution[len(m.Distribution)-1] == '/' || m.Distribution == "" { // a flat archive
			address = root + "/" + m.Distribution
		}
		reached, last := false, ""
		for _, name := range []string{"InRelease", "Release"} {
			status, _, err := d.fetch(ctx, address+name)
			if err == nil && status == http.StatusOK {
				reached = true
				break
			}
			last = cmp.Or(errText(err), fmt.Sprintf("HTTP status %d", status))
		}
		if !reached {
			d.trouble("mirror "+m.Name, "aptless mirror edit --archive-url=URL "+quote(m.Name), "%s is not reached from this machine: %s", address, last)
		}
	}
	return nil
}
