package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"aptless/core/client"
)

// planned returns the plan of a call that changes a publication. An aptly has no dry run,
// so lines take the place of a plan.
func planned[T any](q *request, call client.Call[T], lines ...string) (plan, error) {
	if !q.aptless {
		return plan{Lines: append(lines, "This server cannot say before which packages change.")}, nil
	}
	found, err := client.Send(q.ctx, q.api, client.Planned(call))
	if err != nil {
		return plan{}, err
	}
	return plan{Lines: lines, Changes: &found.Value}, nil
}

// on returns a plan that depends on the state of an object. state is the call that shows it.
func on[T any](q *request, p plan, state client.Call[T]) (plan, error) {
	found, err := client.Send(q.ctx, q.api, state)
	p.basis = append(p.basis, string(found.Raw))
	return p, err
}

// onList returns a plan that depends on the packages of a list, and their number. An
// aptly tells no digest of a list, so all keys take its place.
func onList(q *request, p plan, kind, name string) (plan, string, error) {
	call := client.ListKeys(kind, name)
	if q.aptless {
		call = call.With("limit", "1")
	}
	found, err := client.Send(q.ctx, q.api, call)
	state, total := found.Header.Get("X-List"), found.Header.Get("X-Total")
	if !q.aptless {
		state, total = string(found.Raw), fmt.Sprint(len(found.Value))
	}
	p.basis = append(p.basis, state)
	return p, total, err
}

// free returns a plan for a new object of a name, which show would show. It is refused if
// there is one already.
func free[T any](q *request, p plan, name string, show client.Call[T]) (plan, error) {
	_, err := client.Send(q.ctx, q.api, show)
	switch {
	case client.StatusOf(err) == http.StatusNotFound:
		return p, nil
	case err == nil:
		err = &client.Refusal{Status: http.StatusConflict, Text: "There is " + name + " already. Nothing was done."}
	}
	return p, err
}

// freeSnapshot returns a plan for a new snapshot. It is refused if the name is taken.
func freeSnapshot(q *request, p plan, name string) (plan, error) {
	return free(q, p, "a snapshot "+name, client.ShowSnapshot(name))
}

// words splits a field with several names: spaces, commas and ends of lines part them.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

// lines splits a field with several queries, one in each line.
func lines(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// set returns whether a box was ticked, for a setting that the server knows as not given.
func set(v url.Values, name string) *bool {
	on := v.Get(name) != ""
	return &on
}

// ignored returns whether signatures are not verified; nil is as the server has it set.
func ignored(v url.Values) *bool {
	if v.Get("unsigned") == "" {
		return nil
	}
	return set(v, "unsigned")
}

// ticked returns the value of a box.
func ticked(on bool) string {
	if on {
		return "1"
	}
	return ""
}
