package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"aptless/core/archive/deliver"
	"aptless/core/archive/drop"
	"aptless/core/archive/fsck"
	"aptless/core/archive/keyring"
	"aptless/core/archive/mirror"
	"aptless/core/archive/origin"
	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/archive/query"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/transfer"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
	"aptless/core/formats/graphviz"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// Draw renders a graph in the DOT language. format is an output format of the
// program dot, for example "svg".
type Draw func(ctx context.Context, format string, dot []byte) ([]byte, error)

// Space is the size and the free part of the storage, in bytes.
type Space struct{ Total, Free uint64 }

// PublishedIn is a publication with the components that have a package. Path is
// prefix and distribution as clients write them: "./stable".
type PublishedIn struct {
	Storage, Prefix, Distribution, Path string
	Components                          []string
}

// Location is the place of a file of a package in a published tree.
type Location struct {
	Storage, Prefix, Distribution, Component string
	Path                                     string // below the prefix
}

// References are the objects whose list has a package, by name in ascending order.
type References struct {
	Repos, Mirrors, Snapshots []string
	Publications              []PublishedIn
}

// Setup is a text by which a machine gets to use a publication.
type Setup struct {
	For  string // one of the variants
	Text string
	File string `json:",omitempty"` // the path at which the text belongs, if it is a file
	// Warnings are sentences for a person, such as that the publication is not signed.
	Warnings []string
}

// SetupFunc writes the text of a variant for a publication, by the URL of the published
// files.
type SetupFunc func(ctx context.Context, base string, n publish.Name, variant string) (Setup, error)

// Server holds the stores and settings that the handlers use.
type Server struct {
	Version string
	Address string // the server's own address; "" if it is not known
	Async   bool   // whether a request without _async is answered with its task
	Log     *slog.Logger

	Guard  *Guard // nil lets all requests pass
	Tokens *auth.Store
	Audit  *audit.Store

	Tasks     *task.Store
	Pool      *pool.Store
	Uploads   *upload.Store
	Repos     *repo.Store
	Origins   *origin.Store
	Snapshots *snapshot.Store
	Mirrors   *mirror.Store
	Publish   *publish.Store
	Collector *gc.Collector
	Repairs   Repairs
	Checker   *fsck.Checker
	Keyrings  *keyring.Store

	Deliveries *deliver.Store
	Drops      *drop.Store
	Transfers  *transfer.Store
	Freezer    Freezer // nil where there is no data folder
	Tree       *Tree
	Pages      http.Handler // of readers, and Tree at all other paths

	Dependencies query.Options // settings of dependency resolution in listings

	Nodes func(context.Context) ([]graphviz.Node, error) // the nodes of GET /api/graph

	// References returns the objects whose list has a package.
	References func(context.Context, deb.Key) (References, error)
	// Locations returns the places of a package's files in the published trees.
	Locations func(context.Context, deb.Key, *deb.Package) ([]Location, error)
	Draw      Draw
	Setup     SetupFunc

	Problems func() []string // configuration problems that GET /api/ready reports; may be nil

	Space   func() (Space, error) // nil if the storage is unbounded, as S3 is
	Metrics *Metrics              // nil if metrics are disabled

	Direct driver.Direct // nil if clients cannot upload directly to the storage

	Base context.Context // the context of waits that outlive their request

	// Wait bounds the time that a request waits for its task; 0 is unbounded. The
	// answer after that time is 202 with the task as it is. A server with a bound
	// does nothing after an answer: a Lambda function is frozen then.
	Wait time.Duration

	Listings *Listings        // makes answers of listings in tasks
	Bodies   *parallel.Budget // of the bodies that are decoded; nil is unbounded
}

func constant(v any) HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, http.StatusOK, v) }
}

// run admits a task and answers the request. With _async the answer is the task.
// Otherwise it is the task's result, once the task has ended.
func (s *Server) run(w http.ResponseWriter, r *http.Request, spec task.Spec, err error) error {
	if err != nil {
		return err
	}
	async := Async(r, s.Async)
	c := callOf(r.Context())
	if err := c.sign(&spec); err != nil {
		return err
	}
	spec.Record = c.admission(r)
	t, err := s.Tasks.Admit(r.Context(), spec, !async)
	if err != nil {
		return err
	}
	bodyOf(r.Context()).release() // the task has its arguments
	if async {
		return WriteJSON(w, http.StatusAccepted, viewTask(t))
	}
	t, err = s.finish(r.Context(), t)
	if err != nil {
		return err
	}
	if !t.State.Ended() {
		return WriteJSON(w, http.StatusAccepted, viewTask(t))
	}
	if t.State == task.Failed {
		return &Error{t.Code, t.Error}
	}
	value, err := s.Tasks.Value(r.Context(), t)
	if err != nil {
		return err
	}
	s.forget(t.ID)
	if t.NoValue {
		return writeRaw(w, http.StatusOK, []byte("null"))
	}
	if t.Code == http.StatusNoContent {
		return writeNothing(w)
	}
	return writeRaw(w, t.Code, withWarnings(value, t))
}

// finish waits for a task. It removes the record of a failed task; run removes the
// record of another one after reading its value. If the client goes away, a
// goroutine waits on and removes the record. A task that has not ended within
// s.Wait keeps its record.
func (s *Server) finish(ctx context.Context, t task.Task) (task.Task, error) {
	ended, err := s.wait(ctx, t)
	if err != nil {
		if ctx.Err() != nil && s.Wait == 0 {
			go func() {
				if _, err := s.Tasks.Wait(s.Base, t.ID); err == nil {
					s.forget(t.ID)
				}
			}()
		}
		return t, err
	}
	if ended.State == task.Failed {
		s.forget(ended.ID)
	}
	return ended, nil
}

// wait returns the task once it has ended, or its current state after s.Wait.
func (s *Server) wait(ctx context.Context, t task.Task) (task.Task, error) {
	limited, cancel := s.limit(ctx)
	defer cancel()
	now, err := s.Tasks.Wait(limited, t.ID)
	if err == nil || limited.Err() == nil || ctx.Err() != nil {
		return now, err
	}
	if now.ID == 0 { // the deadline interrupted the last read
		now = t
	}
	return now, nil
}

// reserve is the part of a request's time that is kept for the answer 202.
const reserve = 2 * time.Second

// limit returns a context that ends after s.Wait, and before the request's own deadline.
func (s *Server) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Wait == 0 {
		return ctx, func() {}
	}
	wait := s.Wait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-reserve)
	}
	return context.WithTimeout(ctx, wait)
}

func (s *Server) forget(id int64) {
	if _, err := s.Tasks.Delete(s.Base, id); err != nil {
		s.Log.Warn("record of a task was not removed", "task", id, "error", err)
	}
}

// taskView is the JSON form of a task.
type taskView struct {
	Name      string
	ID        int64
	State     task.State
	Resources []string
	Warnings  []string `json:",omitempty"` // an addition to aptly's API
}

func viewTask(t task.Task) taskView {
	return taskView{t.Name, t.ID, t.State, t.Resources, t.Warnings}
}

// returnValue is the JSON form of a task's result.
type returnValue struct {
	Code  int
	Value json.RawMessage
}

// withWarnings adds the warnings of an unfinished task to its answer. A task is
// unfinished if it has committed and still owes work. An answer that is no object
// or has warnings stays as it is.
func withWarnings(value json.RawMessage, t task.Task) json.RawMessage {
	object := map[string]json.RawMessage{}
	if !t.Unfinished || json.Unmarshal(value, &object) != nil || object == nil || object["Warnings"] != nil {
		return value
	}
	list, err := json.Marshal(t.Warnings)
	if err != nil {
		return value
	}
	return withField(value, "Warnings", list)
}
