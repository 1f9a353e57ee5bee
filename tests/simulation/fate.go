package simulation

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// outage makes all calls of a port fail, lose their answers or hang.
type outage struct {
	port  string // prefix of the names of calls
	how   string
	until time.Time
}

// faulty decides whether a fault of a kind happens at this step, once in n times.
func (w *World) faulty(k Kind, d *dice, n int) bool {
	if !d.one(n) || w.calm || !w.Plan.has(k) || w.Plan.NoFault[w.steps] {
		return false
	}
	w.coverage.fault(k)
	w.faultSteps = append(w.faultSteps, w.steps)
	return true
}

// proceed ends the wait of a call.
func (w *World) proceed(c *call, d *dice) {
	f, verdict := w.fate(c, d)
	all := append([]*call{c}, c.twins...)
	for _, c := range all {
		w.counts.Calls++
		w.coverage.met(c, verdict)
	}
	w.mu.Lock()
	if verdict == "delay" || verdict == "outage, hang" || verdict == "late turn" || verdict == "freeze before" { // the call has its effect later
		if verdict == "delay" || verdict == "outage, hang" {
			c.due = time.Now().Add(d.upTo(3 * time.Minute))
		}
		for _, other := range c.twins {
			other.due, other.aimed = c.due, c.aimed
		}
		w.note(verdict, c.name)
		w.mu.Unlock()
		return
	}
	w.parked = slices.DeleteFunc(w.parked, func(c *call) bool { return slices.Contains(all, c) })
	w.note(strconv.Itoa(c.process.number), c.name, verdict)
	w.mu.Unlock()
	switch verdict {
	case CrashBefore.String():
		w.kill(c.process)
		f.err = errDead
	case Power.String():
		w.powerFailure(d)
		f.err = errDead
	}
	for _, c := range all {
		c.turn <- f
	}
}

// rates say that a fault meets one call in a number of calls.
var rates = [kinds]int{Before: 60, Lost: 60, Half: 90, Delay: 40, Slow: 60, CrashBefore: 300, CrashAfter: 300, Freeze: 400, Outage: 1500, Power: 3000}

// fate draws the fault of a call. The verdict names it; "" is none.
func (w *World) fate(c *call, d *dice) (f fate, verdict string) {
	if w.calm || c.process.reader {
		return fate{}, ""
	}
	if how := w.met(c); how != "" {
		return suffered(how)
	}
	if f, verdict := w.aimed(c, d); verdict != "" {
		return f, verdict
	}
	if w.Plan.Only {
		return fate{}, ""
	}
	rare := w.rarity()
	for k, rate := range rates {
		if k := Kind(k); rate > 0 && w.faulty(k, d, rate*rare) {
			return w.fault(k, c, d), k.String()
		}
	}
	return fate{}, ""
}

// suffered is the fault of an outage on a call.
func suffered(how string) (fate, string) {
	return fate{lost: how == "lost", err: map[string]error{"refused": errFault}[how]}, "outage, " + how
}

// fault is a fault of a kind on a call.
func (w *World) fault(k Kind, c *call, d *dice) fate {
	switch k {
	case Before:
		return fate{err: errFault}
	case Lost:
		return fate{lost: true}
	case Half:
		return fate{half: true}
	case Slow:
		return fate{slow: d.upTo(3 * time.Minute)}
	case CrashAfter:
		return fate{die: true}
	case Freeze:
		c.process.thaws = time.Now().Add(d.upTo(20 * time.Minute))
	case Outage:
		w.begin(d)
	case Missing:
		return fate{err: driver.ErrNotFound}
	}
	return fate{}
}

// rarity makes some runs calmer than others.
func (w *World) rarity() int { return 1 + newDice(w.Plan.Seed, 4).below(4)*2 }

// begin begins an outage.
func (w *World) begin(d *dice) {
	w.outage = &outage{port: pick(d, "Table.", "Blobs.", "Blobs.Put public/", "Blobs.Open private/", "Queue.", "Signer.", "Table.Write task/"), how: pick(d, "refused", "refused", "lost", "hang"), until: time.Now().Add(d.upTo(40 * time.Minute))}
	w.note("outage", w.outage.port, w.outage.how, w.outage.until.Format("15:04:05"))
}

// beginAt begins an outage of a call and its like, and returns its fault on that call.
func (w *World) beginAt(c *call, d *dice) (fate, string) {
	calls, _, _ := strings.Cut(c.name, "/")
	w.outage = &outage{port: calls, how: pick(d, "refused", "refused", "lost", "hang"), until: time.Now().Add(time.Minute + d.upTo(20*time.Minute))}
	w.note("outage", w.outage.port, w.outage.how, w.outage.until.Format("15:04:05"))
	return suffered(w.outage.how)
}

// met returns how the outage affects a call; "" is not at all.
func (w *World) met(c *call) string {
	if w.outage == nil || !strings.HasPrefix(c.name, w.outage.port) {
		return ""
	}
	if !time.Now().Before(w.outage.until) {
		w.outage = nil
		return ""
	}
	return w.outage.how
}
