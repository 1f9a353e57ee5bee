package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// TestAsync holds which values of _async and which default give a task as the answer.
func TestAsync(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for i, tc := range []struct {
			query string
			async bool
		}{
			{"", false}, {"?_async=n", false}, {"?_async=No", false}, {"?_async=F", false}, {"?_async=false", false}, {"?_async=FALSE", false}, {"?_async=0", false}, {"?_async=off", false},
			{"?_async", true}, {"?_async=", true}, {"?_async=1", true}, {"?_async=true", true}, {"?_async=x", true}, {"?_async=00", true}, {"?async=1", false}, {"?_async=0&_async=1", false},
		} {
			body := fmt.Sprintf(`{"Name":"r%d","_async":"1"}`, i)
			code, got := s.Ask(t, "POST", "/api/repos"+tc.query, body)
			want := fmt.Sprintf(`201 {"Name":"r%d","Comment":"","DefaultDistribution":"","DefaultComponent":""}`, i)
			if tc.async {
				want = fmt.Sprintf(`202 {"Name":"Create repository r%d","ID":%d,"State":0,"Resources":null}`, i, i+1) // tasks with and without _async share the numbering
			}
			if fmt.Sprint(code, " ", got) != want {
				t.Errorf("%s: %d %s, want %s", tc.query, code, got, want)
			}
		}
		s.Want(t, "GET", "/api/tasks-wait", "", 200, "{}")
		var tasks []struct{ ID, State int }
		s.Must(t, "GET", "/api/tasks", "", &tasks)
		for i, id := range []int{9, 10, 11, 12, 13, 14} { // records of synchronous requests are removed
			if len(tasks) != 6 || tasks[i].ID != id || tasks[i].State != 2 {
				t.Fatalf("tasks %v", tasks)
			}
		}
	})
}

// TestTaskEndpoints walks through the life of a task, from 202 to its deletion.
func TestTaskEndpoints(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Want(t, "GET", "/api/tasks", "", 200, "[]")
		s.Want(t, "POST", "/api/tasks-clear", "", 200, "{}")
		s.Want(t, "GET", "/api/tasks-wait", "", 200, "{}")
		s.Must(t, "POST", "/api/repos", `{"Name":"stable"}`, nil)
		if code, got := s.Form(t, "incoming", map[string][]byte{"hello.deb": debtest.Deb(debtest.Spec{})}); code != 200 {
			t.Fatalf("%d %s", code, got)
		}
		_, admitted := s.Ask(t, "POST", "/api/repos/stable/file/incoming?_async=1", "")
		var task struct {
			Name      string
			ID        int
			State     int
			Resources []string
		}
		if err := json.Unmarshal([]byte(admitted), &task); err != nil {
			t.Fatal(err)
		}
		if task.Name != "Add packages from dir incoming to repo stable" || task.ID != 2 || task.State != 0 || len(task.Resources) != 2 ||
			len(task.Resources[0]) != 37 || task.Resources[0][0] != 'L' || task.Resources[1] != "/aptless/upload/incoming" {
			t.Errorf("admitted %s", admitted)
		}
		ended := strings.Replace(admitted, `"State":0`, `"State":2`, 1)
		s.Want(t, "GET", "/api/tasks/2/wait", "", 200, ended)
		s.Want(t, "GET", "/api/tasks/2", "", 200, ended)
		s.Want(t, "GET", "/api/tasks/+2", "", 200, ended)
		s.Want(t, "GET", "/api/tasks/02", "", 200, ended)
		s.Want(t, "GET", "/api/tasks", "", 200, "["+ended+"]")
		s.Want(t, "GET", "/api/tasks/2/output", "", 200, `"Added: hello_1.0_all added\nTask succeeded"`)
		s.Want(t, "GET", "/api/tasks/2/return_value", "", 200, `{"Code":200,"Value":{"FailedFiles":[],"Report":{"Warnings":[],"Added":["hello_1.0_all added"],"Removed":[]}}}`)
		s.Want(t, "GET", "/api/tasks/2/detail", "", 200, `{"Requests":{"Blobs.Copy":1,…`)
		s.Want(t, "DELETE", "/api/tasks/2", "", 200, ended)
		for _, path := range []string{"/api/tasks/2", "/api/tasks/2/output", "/api/tasks/2/detail", "/api/tasks/2/return_value"} {
			s.Refused(t, "GET", path, "", 404, "could not find task with id 2")
		}
		s.Refused(t, "GET", "/api/tasks/2/wait", "", 400, "could not find task with id 2")
		s.Refused(t, "DELETE", "/api/tasks/2", "", 400, "could not find task with id 2")
		for id, text := range map[string]string{"x": "invalid syntax", "1.5": "invalid syntax", "0x2": "invalid syntax", "9223372036854775808": "value out of range"} {
			for _, path := range []string{"", "/wait", "/output", "/detail", "/return_value"} {
				s.Refused(t, "GET", "/api/tasks/"+id+path, "", 500, fmt.Sprintf("strconv.ParseInt: parsing %q: %s", id, text))
			}
			s.Refused(t, "DELETE", "/api/tasks/"+id, "", 500, fmt.Sprintf("strconv.ParseInt: parsing %q: %s", id, text))
		}
		s.Refused(t, "GET", "/api/tasks/-1", "", 404, "could not find task with id -1")

		state, output := s.Task(t, "POST", "/api/repos", `{"Name":"stable"}`)
		if state != 3 || output != "Task failed with error: local repo with name stable already exists" {
			t.Errorf("state %d, %s", state, output)
		}
		s.Want(t, "GET", "/api/tasks/3/return_value", "", 200, `{"Code":409,"Value":null}`)
		s.Want(t, "GET", "/api/tasks/3/wait", "", 200, `{"Name":"Create repository stable","ID":3,"State":3,"Resources":null}`)
		s.Refused(t, "POST", "/api/repos", `{"Name":"stable"}`, 409, "local repo with name stable already exists")
		s.Want(t, "GET", "/api/tasks", "", 200, `[{"Name":"Create repository stable","ID":3,"State":3,"Resources":null}]`)
		s.Want(t, "POST", "/api/tasks-clear", "", 200, "{}")
		s.Want(t, "GET", "/api/tasks", "", 200, "[]")
		for _, path := range []string{"/api/tasks/3/x", "/api/tasks/3/output/x"} {
			s.Want(t, "GET", path, "", 404, "404 page not found")
		}
		s.Want(t, "DELETE", "/api/tasks", "", 404, "404 page not found")
	})
}

// TestTasksOfOneObjectFollowEachOther also holds that tasks of different objects run
// side by side, and that all tasks end.
func TestTasksOfOneObjectFollowEachOther(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for _, repo := range []string{"a", "b"} {
			s.Must(t, "POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, repo), nil)
		}
		for i := range 10 {
			for _, repo := range []string{"a", "b"} {
				spec := debtest.Spec{Package: fmt.Sprintf("p%d", i), Architecture: "amd64"}
				if code, got := s.Form(t, fmt.Sprint(repo, i), map[string][]byte{debtest.FileName(spec): debtest.Deb(spec)}); code != 200 {
					t.Fatalf("%d %s", code, got)
				}
				if code, got := s.Ask(t, "POST", fmt.Sprintf("/api/repos/%s/file/%s%d?_async=1", repo, repo, i), ""); code != 202 {
					t.Errorf("%d %s", code, got)
				}
			}
		}
		s.Want(t, "GET", "/api/tasks-wait", "", 200, "{}")
		var tasks []struct{ ID, State int }
		s.Must(t, "GET", "/api/tasks", "", &tasks)
		for i, task := range tasks {
			if task.State != 2 || i > 0 && task.ID <= tasks[i-1].ID {
				t.Errorf("tasks %v", tasks)
			}
		}
		if len(tasks) != 20 {
			t.Errorf("%d tasks", len(tasks))
		}
		for _, repo := range []string{"a", "b"} {
			if got := s.Names(t, "/api/repos/"+repo); len(strings.Fields(got)) != 10 {
				t.Errorf("%s has %s", repo, got)
			}
		}
		s.Want(t, "DELETE", fmt.Sprintf("/api/tasks/%d", tasks[0].ID), "", 200, "")
		s.Refused(t, "GET", fmt.Sprintf("/api/tasks/%d", tasks[0].ID), "", 404, fmt.Sprintf("could not find task with id %d", tasks[0].ID))
	})
}

// TestIdleTask holds the answers for a task that no worker has run yet.
func TestIdleTask(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	get := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		p.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w.Code, w.Body.String()
	}
	if code, _ := get("POST", "/api/repos?Name=r"); code != 202 {
		t.Fatal(code)
	}
	const idle = `{"Name":"Create repository r","ID":1,"State":0,"Resources":null}`
	for _, tc := range []struct {
		method, path string
		code         int
		answer       string
	}{
		{"GET", "/api/tasks/1", 200, idle}, {"GET", "/api/tasks", 200, "[" + idle + "]"}, {"GET", "/api/tasks/1/output", 200, `""`}, {"GET", "/api/tasks/1/detail", 200, "{}"},
		{"GET", "/api/tasks/1/return_value", 200, "null"}, {"DELETE", "/api/tasks/1", 400, `{"error":"task with id 1 is still in state=0"}`},
		{"POST", "/api/tasks-clear", 200, "{}"}, {"GET", "/api/tasks/1", 200, idle},
	} {
		if code, got := get(tc.method, tc.path); code != tc.code || got != tc.answer {
			t.Errorf("%s %s: %d %s, want %d %s", tc.method, tc.path, code, got, tc.code, tc.answer)
		}
	}
	if err := p.Drain(); err != nil {
		t.Fatal(err)
	}
	if code, got := get("GET", "/api/tasks/1/return_value"); got != `{"Code":201,"Value":{"Name":"r","Comment":"","DefaultDistribution":"","DefaultComponent":""}}` {
		t.Errorf("%d %s", code, got)
	}
}

// signalling is a queue that sends to a channel after each Send.
type signalling struct {
	driver.Queue
	sent chan struct{}
}

func (q signalling) Send(ctx context.Context, m driver.Message) error {
	err := q.Queue.Send(ctx, m)
	q.sent <- struct{}{}
	return err
}

// TestWaitingRequests holds that a waiting request is answered when its task ends.
// If the client disconnects, the task runs on and its record is removed.
func TestWaitingRequests(t *testing.T) {
	env := drivertest.NewEnv()
	sent := make(chan struct{})
	env.Queue = signalling{env.Queue, sent}
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	send := func(ctx context.Context, method, path string) <-chan *httptest.ResponseRecorder {
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() {
			w := httptest.NewRecorder()
			p.Handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, path, nil))
			answer <- w
		}()
		return answer
	}
	leaving, leave := context.WithCancel(t.Context())
	left := send(leaving, "POST", "/api/repos?Name=left&_async=0")
	<-sent
	leave()
	<-left
	stayed := send(t.Context(), "POST", "/api/repos?Name=stayed&_async=0")
	<-sent
	if tasks, err := p.Do("GET", "/api/tasks", "", nil); err != nil || strings.Count(string(tasks), `"State":0`) != 2 {
		t.Errorf("%s, %v", tasks, err)
	}
	all := send(t.Context(), "GET", "/api/tasks-wait")
	if err := p.Drain(); err != nil {
		t.Fatal(err)
	}
	if w := <-stayed; w.Code != 201 || w.Body.String() != `{"Name":"stayed","Comment":"","DefaultDistribution":"","DefaultComponent":""}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := <-all; w.Code != 200 || w.Body.String() != "{}" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if _, err := p.Do("GET", "/api/repos/left", "", nil); err != nil {
		t.Error(err)
	}
	for tasks := []byte("?"); string(tasks) != "[]"; runtime.Gosched() {
		if tasks, err = p.Do("GET", "/api/tasks", "", nil); err != nil {
			t.Fatal(err)
		}
	}
}
