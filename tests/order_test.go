package tests

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// ticketOrder changes repositories' comments by tasks that nobody waits for,
// and looks at the comments all the while. What was admitted before another
// request was sent must have its effect before it.
type ticketOrder struct {
	*server
	clock atomic.Int64
	mu    sync.Mutex
	marks map[string]map[string]mark // by repository and comment
	seen  map[string][]string        // comments by repository, each when it was first there
}

// mark says when a comment's request was sent and when its task was admitted.
type mark struct{ sent, admitted int64 }

func newTicketOrder(s *server) *ticketOrder {
	return &ticketOrder{server: s, marks: map[string]map[string]mark{}, seen: map[string][]string{}}
}

// mark has the comment of a repository changed; no comment is used twice.
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

// check waits for the tasks and holds what was seen against the times.
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
