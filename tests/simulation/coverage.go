package simulation

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
)

// Coverage counts faults by kind of task, call site and fault.
type Coverage struct {
	mu     sync.Mutex
	sites  map[stack]string
	Met    map[Place]map[string]int // verdicts
	Known  map[string]bool          // kinds of tasks that processes have registered
	Faults [kinds]int
}

// Place is a call site in the work on a kind of task. It is text, so that it can be the
// key of a JSON object.
type Place struct {
	Task string // kind of the task; "" outside of tasks
	Call string // method of the port
	At   string // file and line
}

// MarshalText implements encoding.TextMarshaler.
func (p Place) MarshalText() ([]byte, error) {
	return []byte(p.Task + " " + p.Call + " " + p.At), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Place) UnmarshalText(text []byte) error {
	w := strings.SplitN(string(text), " ", 3)
	if len(w) != 3 {
		return fmt.Errorf("place %q", text)
	}
	*p = Place{w[0], w[1], w[2]}
	return nil
}

// know notes the kinds of tasks that a process has registered.
func (c *Coverage) know(kinds []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kind := range kinds {
		c.Known[kind] = true
	}
}

// join adds the counts of another Coverage.
func (c *Coverage) join(other *Coverage) {
	maps.Copy(c.Known, other.Known)
	for k, n := range other.Faults {
		c.Faults[k] += n
	}
	for place, verdicts := range other.Met {
		if c.Met[place] == nil {
			c.Met[place] = map[string]int{}
		}
		for v, n := range verdicts {
			c.Met[place][v] += n
		}
	}
}

// site is the Place of a call.
type site struct{ place Place }

// siteKey is the key of the site of a listing in the context of its pages.
type siteKey struct{}

// stack are the innermost frames of a call of a port. Wrappers of ports, such as lazy
// ones, fill some of them.
type stack [8]uintptr

// NewCoverage returns an empty Coverage.
func NewCoverage() *Coverage {
	return &Coverage{sites: map[stack]string{}, Met: map[Place]map[string]int{}, Known: map[string]bool{}}
}

// site returns the place of the caller of a port.
func (c *Coverage) site(ctx context.Context, name string) *site {
	if s, ok := ctx.Value(siteKey{}).(*site); ok {
		return s
	}
	s := &site{Place{Call: method(name)}}
	if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok {
		s.place.Task = d.kind
	}
	var key stack
	runtime.Callers(4, key[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.sites[key]; ok {
		s.place.At = at
		return s
	}
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	for {
		f, more := frames.Next()
		if file, ok := strings.CutPrefix(f.File, "aptless/core/"); ok && !strings.HasPrefix(file, "engine/driver/") || !more {
			s.place.At = fmt.Sprintf("%s:%d", file, f.Line)
			break
		}
	}
	c.sites[key] = s.place.At
	return s
}

// fault counts a fault.
func (c *Coverage) fault(k Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Faults[k]++
}

// met counts the fate of a call.
func (c *Coverage) met(at *call, verdict string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.site == nil {
		return
	}
	if c.Met[at.site.place] == nil {
		c.Met[at.site.place] = map[string]int{}
	}
	c.Met[at.site.place][verdict]++
}

// portCall matches a call of a port.
var portCall = regexp.MustCompile(`\b(Table|table|Blobs|blobs|Queue|Fetcher|t|b)\.(Get|Scan|Write|Put|Add|Open|Stat|Copy|List|Delete|Send|Wake|Fetch)\(ctx|\b[Ss]igner\.(Clearsign|DetachSign)\(`)

// Sites returns the call sites of ports in the source below core, "engine/task/store.go:12".
func Sites(root string) ([]string, error) {
	var all []string
	core := os.DirFS(filepath.Join(root, "core"))
	err := fs.WalkDir(core, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
			strings.Contains(name, "test/") || strings.HasPrefix(name, "engine/driver/") || strings.HasPrefix(name, "formats/") {
			return err
		}
		data, err := fs.ReadFile(core, name)
		n := 0
		for line := range strings.Lines(string(data)) {
			if n++; portCall.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "//") {
				all = append(all, fmt.Sprintf("%s:%d", name, n))
			}
		}
		return err
	})
	return all, err
}

// Missed returns the sites that no run has called, and those without a fault.
func (c *Coverage) Missed(sites []string) (uncalled, unharmed []string) {
	called, harmed := map[string]bool{}, map[string]bool{}
	for place, verdicts := range c.Met {
		called[place.At] = true
		for verdict := range verdicts {
			harmed[place.At] = harmed[place.At] || verdict != "" && verdict != "freeze"
		}
	}
	for _, s := range sites {
		switch {
		case !called[s]:
			uncalled = append(uncalled, s)
		case !harmed[s]:
			unharmed = append(unharmed, s)
		}
	}
	return uncalled, unharmed
}
