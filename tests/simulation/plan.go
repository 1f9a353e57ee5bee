package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of fault.
type Kind int

// The kinds of faults.
const (
	Before      Kind = iota // the call fails without effect, as when it is throttled
	Lost                    // the call has its effect, its answer is lost
	Half                    // a call on several objects or rows has a part of its effect
	Delay                   // the call takes effect after seconds or minutes
	Slow                    // the answer comes after seconds or minutes
	Late                    // the call is given up by its caller and takes effect afterwards
	CrashBefore             // the process dies before the effect of a call
	CrashAfter              // the process dies after the effect of a call
	Freeze                  // the process stands still for up to 20 minutes
	Outage                  // all calls of a port fail, lose their answers or hang
	Visible                 // a message is visible again while its handler works
	Unsettled               // a message is delivered again after its handler has ended
	Skew                    // the clocks of processes differ by up to 10 minutes
	Pages                   // a listing has pages of few rows, with other calls in between
	Gone                    // a client gives up a request
	Network                 // an upstream server fails, or sends an answer that is damaged
	Power                   // the power fails: all processes die, and changes that are lazy may be lost
	Damage                  // a client uploads a damaged package
	Missing                 // the manifest of a publication cannot be found for a while
	kinds
)

var kindNames = [kinds]string{"before", "lost", "half", "delay", "slow", "late", "crash before", "crash after", "freeze", "outage", "visible", "unsettled", "skew", "pages", "gone", "network", "power", "damage", "missing"}

func (k Kind) String() string { return kindNames[k] }

// Plan decides a run. Equal plans have equal runs.
type Plan struct {
	Seed      uint64
	Clients   int
	Requests  int          // of each client
	Processes int          // that live at the same time
	Without   []Kind       // kinds of faults that do not happen
	NoFault   map[int]bool // steps at which no fault happens
	NoRequest map[int]bool // requests that are left out, by number: client*1000 + its number

	// The bias of the run; see focus.
	Focus string `json:",omitempty"`
	Mix   string `json:",omitempty"`
	Names int    `json:",omitempty"`
	Hasty bool   `json:",omitempty"`
	Only  bool   `json:",omitempty"`
	Aims  []Aim  `json:",omitempty"`
}

// PlanOf returns the plan of a seed.
func PlanOf(seed uint64) Plan {
	d := newDice(seed, 0x706c616e)
	p := Plan{Seed: seed, Clients: 2 + d.below(3), Requests: 12 + d.below(20), Processes: 1 + d.below(3)}
	if d.below(8) == 0 { // only the order of calls is left to chance
		for k := range kinds {
			p.Without = append(p.Without, k)
		}
		return p
	}
	for k := range kinds {
		if d.below(5) < 2 {
			p.Without = append(p.Without, k)
		}
	}
	if f := focusOf(seed); f != nil {
		p.focusOn(*f)
	}
	return p
}

func (p Plan) has(k Kind) bool { return !slices.Contains(p.Without, k) }

func (p Plan) String() string {
	var kept []string
	for k := range kinds {
		if p.has(k) {
			kept = append(kept, k.String())
		}
	}
	return fmt.Sprintf("seed %d: %d clients with %d requests, focus %q, %d left out; %d processes; faults: %s, %d left out; aims: %v",
		p.Seed, p.Clients, p.Requests, p.Focus, len(p.NoRequest), p.Processes, strings.Join(kept, ", "), len(p.NoFault), p.Aims)
}

// dice is a sequence of numbers that depends on its seeds only (splitmix64).
type dice struct{ state uint64 }

func newDice(seeds ...uint64) *dice {
	d := &dice{}
	for _, s := range seeds {
		d.state = d.next() ^ s*0x9e3779b97f4a7c15
	}
	return d
}

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int { return int(d.next() % uint64(n)) }

// one reports true once in n times.
func (d *dice) one(n int) bool { return d.below(n) == 0 }

// upTo returns a time from 0 to longest. Short times are as frequent as long ones.
func (d *dice) upTo(longest time.Duration) time.Duration {
	n := time.Duration(d.next() >> 1)
	for range d.below(12) {
		if longest > time.Second {
			longest /= 2
		}
	}
	return n % longest
}

// pick returns an element of all.
func pick[T any](d *dice, all ...T) T { return all[d.below(len(all))] }
