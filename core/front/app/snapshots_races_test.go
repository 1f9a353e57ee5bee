package app_test

import (
	"context"
	"encoding/json"
	"iter"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// scheduledTable is a Table that runs one call at a time, in the order of a schedule. It
// records the rows after each write.
type scheduledTable struct {
	driver.Table
	memory *drivertest.Memory

	mu      sync.Mutex
	waiting []chan struct{}
	states  []map[string]string // states of the reference rows
	begun   map[int64]int       // number of states at the start of a task
	ended   map[int64]int       // number of states at its end
}

// await blocks until the schedule selects the caller.
func (s *scheduledTable) await() {
	turn := make(chan struct{})
	s.mu.Lock()
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	<-turn
}

func (s *scheduledTable) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	s.await()
	return s.Table.Get(ctx, key)
}

func (s *scheduledTable) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		s.await()
		for row, err := range s.Table.Scan(ctx, part, after) {
			if !yield(row, err) {
				return
			}
			s.await()
		}
	}
}

func (s *scheduledTable) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	s.await()
	version, err := s.Table.Write(ctx, ops...)
	if err != nil {
		return version, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record()
	for _, op := range ops {
		var t task.Task
		if op.Key.Part != "task" || op.Do != driver.OpPut || json.Unmarshal(op.Data, &t) != nil {
			continue
		}
		if _, ok := s.begun[t.ID]; !ok && t.State == task.Running {
			s.begun[t.ID] = len(s.states) - 1
		}
		if t.State.Ended() {
			s.ended[t.ID] = len(s.states) - 1
		}
	}
	return version, nil
}

// record appends the current rows to the states.
func (s *scheduledTable) record() { s.states = append(s.states, apptest.Referring(s.memory)) }

// next lets one waiting call proceed. It reports false if none waits.
func (s *scheduledTable) next(rng *rand.Rand) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return false
	}
	i := rng.IntN(len(s.waiting))
	close(s.waiting[i])
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return true
}

// ever reports whether a condition held in a state between begin and end, the state
// before begin included.
func (s *scheduledTable) ever(begin, end int, holds func(map[string]string) bool) bool {
	return slices.ContainsFunc(s.states[max(0, begin-1):end+1], holds)
}

// refersTo reports whether an object of a kind refers to another one in a state.
func refersTo(state map[string]string, target, by string) bool {
	for key := range state {
		if strings.HasPrefix(key, "ref/"+target+"/"+by+"/") {
			return true
		}
	}
	return false
}

// TestSnapshotRaces drops repositories and snapshots while others are made of them and
// published, in many orders of their calls. Every refusal has a reason at its time,
// and no reference dangles.
func TestSnapshotRaces(t *testing.T) {
	seeds := 150
	if testing.Short() {
		seeds = 20
	}
	signer, ready := apptest.Signer(t), drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), ready, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Upload("d", map[string][]byte{"a_1_all.deb": apptest.Deb("aa", "1", "all"), "b_1_amd64.deb": apptest.Deb("bb", "1", "amd64")}); err != nil {
		t.Fatal(err)
	}
	for _, s := range [][2]string{{"/api/repos", `{"Name":"r"}`}, {"/api/repos/r/file/d", ""}, {"/api/repos", `{"Name":"q"}`},
		{"/api/repos/r/snapshots", `{"Name":"s1"}`}, {"/api/repos/q/snapshots", `{"Name":"s2"}`}, {"/api/tasks-clear", ""}} {
		if err := p.Step("POST", s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	races(t, seeds, ready, signer, [][3]string{
		{"DELETE", "/api/snapshots/s1", ""}, {"DELETE", "/api/snapshots/s1?force=1", ""}, {"DELETE", "/api/snapshots/s2", ""},
		{"DELETE", "/api/repos/r", ""}, {"DELETE", "/api/repos/r?force=1", ""}, {"DELETE", "/api/snapshots/m?force=1", ""},
		{"POST", "/api/repos/r/snapshots", `{"Name":"s3"}`}, {"POST", "/api/repos/q/snapshots", `{"Name":"s1"}`},
		{"POST", "/api/snapshots/m/merge", `{"Sources":["s1","s2"]}`}, {"POST", "/api/snapshots/m/merge", `{"Sources":["s2","s1"]}`},
		{"POST", "/api/snapshots", `{"Name":"s3","SourceSnapshots":["s1"]}`}, {"PUT", "/api/snapshots/s1", `{"Name":"s3"}`},
		{"POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"snap","Architectures":["amd64"],"Sources":[{"Name":"s1"}]}`},
		{"POST", "/api/publish", apptest.PublishBody}, {"DELETE", "/api/publish/:./stable", ""}, {"DELETE", "/api/publish/:./snap", ""},
		{"PUT", "/api/publish/:./snap", `{"Snapshots":[{"Name":"s2"}]}`},
	}, []string{"published", "used", "taken", "gone"})
}

// moreSeeds is the factor by which races may exceed its seeds until every reason has
// come up. UUIDs are random, so a seed does not determine the order.
const moreSeeds = 50

// races runs requests concurrently, in one order for each seed. It goes on until tasks
// were refused for every reason. It fails if a task is refused for another one.
func races(t *testing.T, seeds int, ready *drivertest.Env, signer pgp.Signer, requests [][3]string, reasons []string, set ...func(*app.Config)) {
	refused := map[string]int{}
	lacking := func(reason string) bool { return refused[reason] == 0 }
	seed := 0
	for ; seed < seeds || seed < moreSeeds*seeds && slices.ContainsFunc(reasons, lacking); seed++ {
		synctest.Test(t, func(t *testing.T) {
			env := ready.Restart()
			s := &scheduledTable{Table: env.Table, memory: env.Memory, begun: map[int64]int{}, ended: map[int64]int{}}
			s.record()
			env.Table = s
			p, err := apptest.Start(t.Context(), env, signer, set...)
			if err != nil {
				t.Fatal(err)
			}
			race(t, p, s, rand.New(rand.NewPCG(uint64(seed), 7)), requests)
			for id, reason := range s.check(t, env.Memory) {
				if reason == "" {
					continue
				}
				refused[reason]++
				if t.Failed() {
					t.Logf("seed %d: task %d: %s", seed, id, reason)
				}
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("refusals in %d orders: %v", seed, refused)
	for _, reason := range slices.DeleteFunc(slices.Clone(reasons), func(r string) bool { return !lacking(r) }) {
		t.Errorf("no task was refused because its object is %s: more orders are needed", reason)
	}
}

// race runs three clients and four workers in the order of rng.
func race(t *testing.T, p *apptest.Process, s *scheduledTable, rng *rand.Rand, requests [][3]string) {
	ctx, stop := context.WithCancel(p.Ctx)
	var clients, workers sync.WaitGroup
	sent := make(chan struct{})
	for range 3 {
		var mine [][3]string
		for range 3 {
			mine = append(mine, requests[rng.IntN(len(requests))])
		}
		clients.Go(func() {
			for _, r := range mine {
				req := httptest.NewRequestWithContext(ctx, r[0], r[1], strings.NewReader(r[2]))
				req.Header.Set("Content-Type", "application/json")
				p.Handler.ServeHTTP(httptest.NewRecorder(), req)
			}
		})
	}
	go func() { clients.Wait(); close(sent) }()
	for range 4 {
		workers.Go(func() {
			for ctx.Err() == nil {
				if delivered, err := p.Env.Memory.Queue.Step(ctx, p.Dispatcher.Handle); err != nil {
					t.Error(err)
				} else if !delivered {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	for {
		synctest.Wait()
		if s.next(rng) {
			continue
		}
		select {
		case <-sent:
			if len(p.Env.Memory.Queue.Pending()) == 0 && len(p.Env.Memory.Rows("lock")) == 0 {
				stop()
				workers.Wait()
				return
			}
		default:
		}
		time.Sleep(time.Millisecond)
		p.Env.Clock.Advance(100 * time.Millisecond)
	}
}

// check examines every state and the end of every task. It returns the reasons of the
// refusals.
func (s *scheduledTable) check(t *testing.T, memory *drivertest.Memory) map[int64]string {
	for i, state := range s.states {
		if err := apptest.Fits(state); err != nil {
			t.Fatalf("after write %d: %v", i, err)
		}
	}
	reasons := map[int64]string{}
	for _, data := range memory.Rows("task") {
		var got task.Task
		if err := json.Unmarshal([]byte(data), &got); err != nil {
			t.Fatal(err)
		}
		if !got.State.Ended() {
			t.Fatalf("task %d (%s) is in state %d", got.ID, got.Name, got.State)
		}
		if got.State == task.Failed {
			reasons[got.ID] = s.refusal(t, got)
		}
		if force, drops := strings.Contains(string(got.Args), `"Force":true`), strings.HasSuffix(got.Kind, ".drop"); drops && got.State == task.Succeeded && got.Kind != "publish.drop" {
			before := s.states[s.ended[got.ID]-1]
			target := targetOf(got)
			if refersTo(before, target, "publish") || !force && refersTo(before, target, "snapshot") {
				t.Errorf("task %d dropped %s, which was in use", got.ID, target)
			}
		}
	}
	return reasons
}

// targetOf returns the object that a task drops or renames.
func targetOf(got task.Task) string {
	for _, w := range got.Locks {
		if part, _, _ := strings.Cut(w.Resource, "/"); part == "snapshot" || part == "repo" || part == "mirror" {
			return w.Resource
		}
	}
	return ""
}

// refusal checks that the reason of a failed task held at some time of its run. It
// returns the reason's name.
func (s *scheduledTable) refusal(t *testing.T, got task.Task) string {
	at := func(holds func(map[string]string) bool) bool { return s.ever(s.begun[got.ID], s.ended[got.ID], holds) }
	target := targetOf(got)
	right, reason := false, ""
	switch text := got.Error; {
	case strings.Contains(text, "is published"):
		reason, right = "published", at(func(state map[string]string) bool { return refersTo(state, target, "publish") })
	case strings.Contains(text, "force=1"):
		reason, right = "used", at(func(state map[string]string) bool { return refersTo(state, target, "snapshot") })
	case strings.Contains(text, "already exists"):
		name, part := nameIn(text, "name ", "snapshot ", "mirror "), "snapshot-name/"
		if strings.Contains(text, "mirror") {
			part = "mirror-name/"
		}
		reason, right = "taken", at(func(state map[string]string) bool { _, ok := state[part+name]; return ok })
	case strings.Contains(text, "already used by another published repo"):
		reason, right = "taken", at(func(state map[string]string) bool {
			for _, w := range got.Locks {
				if _, ok := state[w.Resource]; ok && strings.HasPrefix(w.Resource, "publish/") {
					return true
				}
			}
			return false
		})
	case strings.Contains(text, "not found"):
		reason, right = "gone", at(func(state map[string]string) bool {
			return slices.ContainsFunc(got.Locks, func(w lock.Want) bool {
				_, ok := state[w.Resource]
				part, _, _ := strings.Cut(w.Resource, "/")
				return !ok && slices.Contains([]string{"snapshot", "repo", "mirror", "publish"}, part)
			})
		})
	}
	if !right {
		t.Errorf("task %d (%s) was refused without reason: %s", got.ID, got.Name, got.Error)
	}
	return reason
}

// nameIn returns the word after the first matching prefix in a text.
func nameIn(text string, prefixes ...string) string {
	for _, p := range prefixes {
		if _, rest, ok := strings.Cut(text, p); ok {
			name, _, _ := strings.Cut(rest, " ")
			return name
		}
	}
	return ""
}
