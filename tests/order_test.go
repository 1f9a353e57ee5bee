package tests

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// ticketOrder changes comments of repositories by asynchronous tasks, and reads the comments
// all the time. If A was admitted before the request of B was sent, A's effect comes
// before B's.
type ticketOrder struct {
	*server
	clock atomic.Int64
	mu    sync.Mutex
	marks map[string]map[string]mark // marks by repository and comment
	seen  map[string][]string        // times of the first reading of each comment, by repository
}

// mark has the time at which a comment's request was sent, and the time of its admission.
type mark struct{ sent, admitted int64 }

func newTicketOrder(s *server) *ticketOrder {
	return &ticketOrder{server: s, marks: map[string]map[string]mark{}, seen: map[string][]string{}}
}

// mark changes the comment of a repository. It uses each comment once.
func (o *ticketOrder) mark(repo, comment string) error {
	sent := o.clock.Add(1)
	if err := o.json("PUT", "/api/repos/"+repo+"?_async=1", fmt.Sprintf(`{"Comment":%q}`, comment), nil); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.marks[repo] == nil {
		o.marks[repo] = map[string]mark{}
	}
	o.marks[repo][comment] = mark{sent, o.clock.Add(1)}
	return nil
}

func (o *ticketOrder) look(repo string) {
	var r struct{ Comment string }
	if err := o.json("GET", "/api/repos/"+repo, "", &r); err != nil {
		o.t.Error(err)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if seen := o.seen[repo]; r.Comment != "" && (len(seen) == 0 || seen[len(seen)-1] != r.Comment) {
		o.seen[repo] = append(seen, r.Comment)
	}
}

func (o *ticketOrder) watch(ctx context.Context, repo string) {
	for ctx.Err() == nil {
		o.look(repo)
	}
}

// check waits for the tasks and compares the readings with the times.
func (o *ticketOrder) check() {
	o.t.Helper()
	o.must(o.json("GET", "/api/tasks-wait", "", nil))
	for repo, marks := range o.marks {
		o.look(repo)
		seen := o.seen[repo]
		for i, first := range seen {
			for _, later := range seen[i+1:] {
				if marks[later].admitted < marks[first].sent {
					o.t.Errorf("%s: %s took effect before %s, which was admitted before it was sent", repo, first, later)
				}
			}
		}
		last := seen[len(seen)-1]
		for comment, m := range marks {
			if marks[last].admitted < m.sent {
				o.t.Errorf("%s: %s was the last, and %s was sent after it was admitted", repo, last, comment)
			}
		}
		o.t.Logf("%d of the %d comments of %s were seen", len(seen), len(marks), repo)
	}
}
