package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// checkStorage compares rows, lists and files, and measures the objects.
func checkStorage() act {
	return act{
		form: func(*request) (form, error) {
			return form{Title: "Check the storage", Submit: "Check the storage", Back: "/-/storage", Command: "aptless fsck", Text: "Reads all rows and lists, and compares them with the files. It changes nothing, and measures what each object takes."}, nil
		},
		plan: func(*request, url.Values) (plan, error) {
			return plan{Lines: []string{"The task reads for some minutes if there are many packages. Its output has the findings."}}, nil
		},
		run: func(q *request, _ url.Values) (string, error) {
			return start(q, client.CheckStorage(false, false), "/-/storage")
		},
	}
}

// unneeded returns the plan of a cleanup, by its dry run.
func unneeded(q *request) (plan, error) {
	if !q.aptless {
		return plan{Lines: []string{"Deletes what no repository, mirror, snapshot or publication has."}}, nil
	}
	found, err := client.Send(q.ctx, q.api, client.PlanCleanup())
	if err != nil {
		return plan{}, err
	}
	var p plan
	for _, area := range found.Value {
		if area.Number > 0 {
			p.Lines = append(p.Lines, fmt.Sprintf("%s: %s, %s", area.Area, layout.Count(area.Number), layout.Bytes(area.Bytes)))
		}
	}
	if p.Lines == nil {
		p.Lines = []string{"There is nothing to delete now."}
	}
	return p, nil
}

// usage is the storage that objects take, by the last check.
type usage struct {
	At      string
	Bytes   int64
	Objects []struct {
		Kind, Name, Storage, Prefix, Distribution string
		Packages                                  int
		Bytes, Own                                int64
	}
}

// measured returns the storage of objects by the last check, nil without one.
func (q *request) measured() (*usage, error) {
	text, err := q.api.Fetch(q.ctx, client.StorageByObject())
	if client.StatusOf(err) == http.StatusNotFound || client.StatusOf(err) == http.StatusForbidden {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u := new(usage)
	if err := json.Unmarshal(text, u); err != nil {
		return nil, err
	}
	u.Objects = u.Objects[:min(len(u.Objects), maxMeasured)]
	return u, nil
}

// maxMeasured bounds the objects on the page of the storage, the largest first.
const maxMeasured = 200
