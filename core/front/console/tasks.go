package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"aptless/core/client"
	"aptless/core/front/auth"
)

// tasksView is the data of the list of tasks.
type tasksView struct {
	Open, Failed, Ended []client.Task
	Any                 bool
	Actions             []action
}

func (q *request) tasks() error {
	all, err := q.tasksOf("", "200")
	if err != nil {
		return err
	}
	failed, err := q.tasksOf(fmt.Sprint(client.Failed), "50")
	if err != nil {
		return err
	}
	v := tasksView{Failed: failed, Any: len(all) > 0}
	for _, t := range all {
		switch t.State {
		case client.Idle, client.Running:
			v.Open = append(v.Open, t)
		case client.Succeeded:
			v.Ended = append(v.Ended, t)
		}
	}
	if v.Any && !q.Reads && q.some(auth.TasksManage) {
		v.Actions = append(v.Actions, action{"/-/new/clear", "Clear", false})
	}
	return q.write(http.StatusOK, "tasks", "Tasks", v)
}

// taskView is the data of the page of a task.
type taskView struct {
	client.Task
	Going    bool // it has not ended
	Done     int  // percent; -1 if it is not known
	Left     string
	Output   string
	Cut      bool // the output has a part before this one
	Requests []count
	Back     string // the page of the object that the task is about
}

// count is a number with its name.
type count struct {
	Name string
	N    int64
}

// maxOutput bounds the output on a page, in bytes.
const maxOutput = 200_000

func (q *request) task() error {
	id, err := strconv.ParseInt(q.r.PathValue("id"), 10, 64)
	if err != nil {
		return &client.Refusal{Status: http.StatusNotFound, Text: "A task has a number."}
	}
	found, err := client.Send(q.ctx, q.api, client.ShowTask(id))
	if err != nil {
		return err
	}
	v := taskView{Task: found.Value, Done: -1, Back: q.query("back")}
	v.Going = v.State == client.Idle || v.State == client.Running
	from := max(0, found.Value.Output-maxOutput)
	if v.Output, err = q.api.Output(q.ctx, id, from); err != nil {
		return err
	}
	v.Output = strings.ToValidUTF8(v.Output[max(0, len(v.Output)-maxOutput):], "\uFFFD")
	v.Cut = from > 0
	detail, err := client.Send(q.ctx, q.api, client.TaskDetail(id))
	if err != nil {
		return err
	}
	v.progress(detail.Raw)
	if !strings.HasPrefix(v.Back, "/-/") {
		v.Back = ""
	}
	return q.write(http.StatusOK, "task", fmt.Sprintf("Task %d", id), v)
}

// progress reads the detail of a task.
func (v *taskView) progress(detail json.RawMessage) {
	var d struct {
		TotalDownloadSize, RemainingDownloadSize         int64
		TotalNumberOfPackages, RemainingNumberOfPackages int64
		Requests                                         map[string]int64
	}
	if json.Unmarshal(detail, &d) != nil {
		return
	}
	total, left := d.TotalDownloadSize, d.RemainingDownloadSize
	if total == 0 {
		total, left = d.TotalNumberOfPackages, d.RemainingNumberOfPackages
	}
	if total > 0 && v.Going {
		v.Done = int(100 * (total - left) / total)
		v.Left = fmt.Sprintf("%d of %d packages to come", d.RemainingNumberOfPackages, d.TotalNumberOfPackages)
	}
	for name, n := range d.Requests {
		v.Requests = append(v.Requests, count{name, n})
	}
	slices.SortFunc(v.Requests, func(a, b count) int { return strings.Compare(a.Name, b.Name) })
}
