package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"aptless/core/client"
)

// field is a field of a form.
type field struct {
	Name, Label, Hint string
	Value             string
	Options           []string // of a choice; nil for a text
	Known             []string // proposals for a text
	Check             bool     // a box to tick
	Long              bool     // a text of several lines
	Required          bool
}

// form is the first step of an action.
type form struct {
	Title, Text string
	Fields      []field
	Submit      string // text of the button of the last step
	Danger      bool
	Confirm     string // a name that is typed before the last step; "" is none
	Command     string // the command that does the same
	Back        string // path of the object
}

// plan is the second step: the changes that the action would make.
type plan struct {
	Lines   []string // of an action without a dry run
	Changes *client.Plan
	basis   []string // states of the objects on which the action depends, as the server tells them
}

// digest returns the digest of a plan and of the state that it begins from. It has no part
// that changes by itself, such as the time since an event.
func (p plan) digest() string {
	sum := sha256.New()
	in := json.NewEncoder(sum) // it never fails: the digest takes all bytes, and these types are JSON
	_ = in.Encode([][]string{p.Lines, p.basis})
	if p.Changes != nil {
		_ = in.Encode(p.Changes.Generation)
		_ = in.Encode(p.Changes.Components)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// act is an action in three steps. plan must not change anything: it is made for the
// preview, and again for the confirmation.
type act struct {
	form func(q *request) (form, error)
	plan func(q *request, values url.Values) (plan, error)
	run  func(q *request, values url.Values) (path string, err error)
}

// actView is the data of a step of an action.
type actView struct {
	form
	Plan       *plan // nil in the first step
	Values     []field
	Generation string // that the plan begins from
	Seen       string // digest of the plan
	Error      string
	Moved      bool // an object has changed since the plan
}

// maxForm bounds the body of a form, in bytes.
const maxForm = 1 << 20

// values reads a form of this session.
func (q *request) values() (url.Values, error) {
	q.r.Body = http.MaxBytesReader(q.w, q.r.Body, maxForm)
	if err := q.r.ParseForm(); err != nil {
		return nil, &client.Refusal{Status: http.StatusBadRequest, Text: "The form cannot be read."}
	}
	if !q.sessions.proves(idOf(q.r), q.r.PostForm.Get("csrf")) {
		return nil, errForged
	}
	return q.r.PostForm, nil
}

// step answers a step of an action.
func (a act) step(q *request) error {
	if q.r.Method == http.MethodGet || q.r.Method == http.MethodHead {
		f, err := a.form(q)
		if err != nil {
			return err
		}
		for i := range f.Fields {
			if given := q.query(f.Fields[i].Name); given != "" {
				f.Fields[i].Value = given
			}
		}
		return q.write(http.StatusOK, "act", f.Title, actView{form: f})
	}
	values, err := q.values()
	if err != nil {
		return err
	}
	f, err := a.form(q)
	if err != nil {
		return err
	}
	v := actView{form: f}
	for i := range v.Fields {
		v.Fields[i].Value = strings.TrimSpace(values.Get(v.Fields[i].Name))
		values.Set(v.Fields[i].Name, v.Fields[i].Value)
		if v.Fields[i].Required && v.Fields[i].Value == "" {
			v.Error = v.Fields[i].Label + " is needed."
			return q.write(http.StatusBadRequest, "act", f.Title, v)
		}
	}
	v.Values = v.Fields
	if values.Get("step") == "confirm" && f.Confirm != "" && strings.TrimSpace(values.Get("confirm")) != f.Confirm {
		v.Error = "The name that you have typed is not " + f.Confirm + ". Nothing was done."
		return a.preview(q, v, values)
	}
	if values.Get("step") == "confirm" {
		return a.confirm(q, v, values)
	}
	return a.preview(q, v, values)
}

// confirm does the action. If its plan is another one than that of the preview, nothing is
// done, and there is a new preview. The server compares the generation of a publication
// once more, within the transaction that changes it.
func (a act) confirm(q *request, v actView, values url.Values) error {
	p, err := a.plan(q, values)
	if err != nil {
		return q.refuse(v, err)
	}
	if p.digest() != values.Get("seen") {
		v.Moved = true
		return q.show(v, p)
	}
	to, err := a.run(q, values)
	if err == nil {
		q.redirect(to)
		return nil
	}
	if client.StatusOf(err) == http.StatusConflict && values.Get("generation") != "" {
		v.Moved = true
		return a.preview(q, v, values)
	}
	return q.refuse(v, err)
}

// preview shows the plan of the action.
func (a act) preview(q *request, v actView, values url.Values) error {
	p, err := a.plan(q, values)
	if err != nil {
		return q.refuse(v, err)
	}
	return q.show(v, p)
}

// show answers with a plan.
func (q *request) show(v actView, p plan) error {
	v.Plan, v.Seen = &p, p.digest()
	if p.Changes != nil {
		v.Generation = fmt.Sprint(p.Changes.Generation)
	}
	status := http.StatusOK
	if v.Moved {
		status = http.StatusConflict
	} else if v.Error != "" {
		status = http.StatusBadRequest
	}
	return q.write(status, "act", v.Title, v)
}

// refuse shows the form again, with the reason of the server. Some refusals have a status
// of 500, as an aptly has them.
func (q *request) refuse(v actView, err error) error {
	var refused *client.Refusal
	if !errors.As(err, &refused) || refused.Status == http.StatusUnauthorized {
		return err
	}
	v.Error, v.Plan = refused.Text, nil
	status := refused.Status
	if status >= http.StatusInternalServerError {
		status = http.StatusBadGateway
	}
	return q.write(status, "act", v.Title, v)
}

// start starts the task of a call, and returns the path of its page.
func start[T any](q *request, call client.Call[T], back string) (string, error) {
	started, err := client.Start(q.ctx, q.api, call)
	if err != nil {
		return "", err
	}
	if !started.Running {
		return back, nil
	}
	return "/-/tasks/" + fmt.Sprint(started.Task) + "?" + url.Values{"back": {back}}.Encode(), nil
}
