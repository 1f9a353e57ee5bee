package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// ports are the ports that fail in an outage.
var ports = []struct {
	name  string
	match func(call string) bool
}{
	{"table", drivertest.TableCalls},
	{"blobs", drivertest.BlobCalls},
	{"public objects", drivertest.ObjectCalls("public/")},
	{"private objects", drivertest.ObjectCalls("private/")},
	{"queue", drivertest.QueueCalls},
	{"rows of the archive", archiveRows},
	{"signer", func(call string) bool { return strings.HasPrefix(call, "Signer.") }},
}

// archiveRows matches calls of the table for other rows than tasks, locks and the
// calendar. A part of a table can fail alone.
func archiveRows(call string) bool {
	_, key, _ := strings.Cut(call, " ")
	part, _, _ := strings.Cut(key, "/")
	return drivertest.TableCalls(call) && !slices.Contains([]string{"task", "lock", "calendar"}, part)
}

// lengths of outages.
var lengths = []time.Duration{time.Second, 30 * time.Second, 5 * time.Minute, 2 * time.Hour}

// outage is one disturbance of an operation.
type outage struct {
	port int
	from int
	last time.Duration
	how  drivertest.How
	kill bool
}

func (o outage) String() string {
	text := fmt.Sprintf("%s %s for %v from call %d", ports[o.port].name, o.how, o.last, o.from)
	if o.kill {
		text += ", killed"
	}
	return text
}

// outages returns the disturbances of an operation with these calls. It takes one of
// every n.
func outages(calls []string, every int) []outage {
	var all []outage
	turn := 0
	for port, p := range ports {
		for _, from := range beginnings(calls, p.match) {
			for _, last := range lengths {
				for _, kill := range []bool{false, true} {
					turn++
					if turn%every == 0 {
						all = append(all, outage{port, from, last, drivertest.How(turn / every % 4), kill})
					}
				}
			}
		}
	}
	return all
}

// beginnings returns the numbers of the calls with which outages begin. These are the
// first and the last matching call, and one in the middle. Every call after a change of a
// task's row is one too, for example after a commit.
func beginnings(calls []string, match func(string) bool) []int {
	var met, from []int
	for i, call := range calls {
		if match(call) {
			met = append(met, i+1)
		}
	}
	if len(met) == 0 {
		return nil
	}
	from = append(from, 1, met[0], met[len(met)/2], met[len(met)-1])
	for i, call := range calls {
		if strings.HasPrefix(call, "Table.Write task/") && i+2 <= met[len(met)-1] {
			from = append(from, i+2)
		}
	}
	slices.Sort(from)
	return slices.Compact(from)
}

// maxFailures bounds the number of reported failures of one operation.
const maxFailures = 3

// TestOutageLeavesTheOutcomeOrNothing disturbs every operation by outages. They hit every
// port, have several lengths and begin at several calls. In some of them the process
// is killed. After some time the storage is as after an undisturbed or a refused
// operation. No lock is held, and nothing else is left.
func TestOutageLeavesTheOutcomeOrNothing(t *testing.T) {
	every := 1
	if testing.Short() {
		every = 17
	}
	ready := readyWorld(t)
	for _, op := range operations() {
		if op.name == "" {
			op.name = op.kind
		}
		t.Run(op.name, func(t *testing.T) {
			tr := &trial{operation: op, ready: ready}
			apptest.Bubble(t, readyAt, func(t *testing.T) {
				if err := tr.undisturbed(t); err != nil {
					t.Fatal(err)
				}
			})
			apptest.Bubble(t, readyAt, func(t *testing.T) {
				if err := tr.idle(t); err != nil {
					t.Fatal(err)
				}
			})
			if tr.wait == 0 && tr.after.differs(tr.before) == "" && op.kind != "cleanup.db" && !op.later && !strings.HasPrefix(op.kind, "publish.repair") {
				t.Error("the operation changes nothing")
			}
			failures, kinds := 0, map[string]bool{}
			for _, o := range outages(tr.calls, every) {
				var err error
				apptest.Bubble(t, readyAt, func(t *testing.T) {
					err = tr.run(t, &drivertest.Outage{Match: ports[o.port].match, From: o.from, For: o.last, How: o.how, Delay: 10 * time.Second}, o.kill, kinds)
				})
				if err != nil {
					t.Errorf("%v: %v", o, err)
					failures++
				}
				if failures == maxFailures {
					return
				}
			}
			if op.owes != "" && !kinds[op.owes] && !testing.Short() {
				t.Errorf("no task of the kind %s has paid the debt", op.owes)
			}
		})
	}
}

// TestEveryKindHasOutages holds that outages disturb every kind of task.
func TestEveryKindHasOutages(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	p := apptest.New(t, apptest.On(m))
	for _, kind := range p.Dispatcher.Kinds() {
		if !slices.ContainsFunc(operations(), func(op operation) bool { return op.kind == kind || op.owes == kind }) {
			t.Errorf("no operation has a task of the kind %s", kind)
		}
	}
}
