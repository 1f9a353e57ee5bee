package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"aptless/core/client"
	"aptless/core/front/auth"
	"aptless/core/front/layout"
)

// finding is a sentence of the overview. Level is good, warn or bad.
type finding struct {
	Level, Text, Path string
	Key               string // the end of its fingerprint, of a finding on a signing key
}

// overviewView is the data of the overview.
type overviewView struct {
	Status   *client.Status // nil if the session may not read it
	Findings []finding
	Running  []client.Task
	Failed   []client.Task

	Latest []publication // published last, the newest first

	Reads, Alone bool // see Settings
}

// soon is the time before its end in which a key or a Release is announced.
const soon = 30 * 24 * time.Hour

func (q *request) overview() error {
	v := overviewView{Reads: q.Reads, Alone: q.Alone}
	if q.aptless && q.may(auth.MetricsRead, "") {
		found, err := client.Send(q.ctx, q.api, client.ShowStatus())
		if err != nil {
			return err
		}
		v.Status = &found.Value
		v.Findings = q.findings(found.Value)
	}
	if q.aptless {
		keys, err := q.keyFindings()
		if err != nil {
			return err
		}
		v.Findings = append(distinct(v.Findings, keys), keys...)
	}
	var err error
	if v.Running, err = q.tasksOf(fmt.Sprint(client.Running), "10"); err != nil {
		return err
	}
	if v.Failed, err = q.tasksOf(fmt.Sprint(client.Failed), "5"); err != nil {
		return err
	}
	if v.Latest, err = q.latest(); err != nil {
		return err
	}
	return q.write(http.StatusOK, "overview", "Overview", v)
}

// maxLatest bounds the publications on the overview.
const maxLatest = 5

// latest returns the publications that were published last.
func (q *request) latest() (list []publication, err error) {
	if !q.aptless || !q.some(auth.PublishRead) {
		return nil, nil
	}
	found, err := client.Send(q.ctx, q.api, client.ListPublicationDetails())
	all := found.Value
	slices.SortStableFunc(all, func(a, b client.PublicationDetails) int { return b.Date.Compare(a.Date) })
	for _, p := range all[:min(len(all), maxLatest)] {
		list = append(list, viewPublication(p))
	}
	return list, err
}

// distinct returns the findings without those about a key that keys has a sentence on.
func distinct(list, keys []finding) []finding {
	return slices.DeleteFunc(list, func(f finding) bool {
		return slices.ContainsFunc(keys, func(k finding) bool { return k.Key != "" && strings.Contains(f.Text, k.Key) })
	})
}

// findings returns the sentences of a status.
func (q *request) findings(s client.Status) []finding {
	var list []finding
	for _, w := range s.Warnings {
		list = append(list, finding{"bad", w, "", ""})
	}
	if s.Tasks.Failed > 0 {
		list = append(list, finding{"bad", fmt.Sprintf("Tasks that failed in the last day: %d.", s.Tasks.Failed), "/-/tasks", ""})
	}
	for _, name := range s.Owed {
		list = append(list, finding{"warn", "The tree of " + name + " is not up to date yet. The server goes on with it.", "/-/publications", ""})
	}
	for _, name := range s.NeverUpdated {
		list = append(list, finding{"warn", "The mirror " + name + " was never updated.", pathTo("mirrors", name), ""})
	}
	for _, name := range s.Partial {
		list = append(list, finding{"warn", "The last update of the mirror " + name + " did not take everything.", pathTo("mirrors", name), ""})
	}
	for _, e := range s.Expiring {
		if e.At.Sub(q.Now()) < 3*24*time.Hour {
			list = append(list, finding{"warn", "The Release of " + e.Path + " is valid until " + layout.Date(e.At) + ".", "/-/publications", ""})
		}
	}
	if s.Total > 0 && s.Free < s.Total/20 {
		list = append(list, finding{"bad", "The storage has " + layout.Bytes(int64(s.Free)) + " left.", "/-/storage", ""})
	}
	return list
}

// keyFindings returns the sentences on keys that expire or that apt refuses.
func (q *request) keyFindings() ([]finding, error) {
	found, err := client.Send(q.ctx, q.api, client.ListSigningKeys())
	if err != nil {
		return nil, err
	}
	var list []finding
	for _, k := range found.Value {
		at, err := time.Parse(time.RFC3339, k.Expires)
		short := k.Fingerprint[max(0, len(k.Fingerprint)-16):]
		switch {
		case err != nil: // the key does not expire
		case at.Before(q.Now()):
			list = append(list, finding{"bad", "The signing key " + short + " has expired: apt refuses all that it signs.", "/-/keys", short})
		case at.Sub(q.Now()) < soon:
			list = append(list, finding{"warn", "The signing key " + short + " expires " + layout.Ago(q.Now(), at) + ".", "/-/keys", short})
		}
		for _, p := range k.Problems {
			if p.Fatal {
				list = append(list, finding{"bad", p.Text, "/-/keys", ""})
			}
		}
	}
	return list, nil
}
