package drivertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"aptless/core/engine/driver"
)

const (
	linearKeys    = 3 // rows of the history
	linearClients = 6
	linearCalls   = 50 // of each client
)

// cell is the content of a row; the zero value means no row.
type cell struct{ version, data string }

// linearState is the state of all rows of the history.
type linearState [linearKeys]cell

// linearCall is a Get of row key, or a Write of ops if there are any.
type linearCall struct {
	key int
	ops []linearOp
}

// linearOp is an operation on row key.
type linearOp struct {
	do      driver.Verb
	key     int
	version string
	data    string
}

// linearResult is the result of a call.
type linearResult struct {
	got      cell   // by Get
	version  string // by Write
	conflict bool
	failed   []int // rows named by the conflict
}

// linearModel says which results are possible in a state.
var linearModel = porcupine.Model{
	Init: func() any { return linearState{} },
	Step: func(state, in, out any) (bool, any) {
		return linearStep(state.(linearState), in.(linearCall), out.(linearResult))
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

func linearStep(state linearState, call linearCall, result linearResult) (bool, linearState) {
	if call.ops == nil {
		return result.got == state[call.key], state
	}
	failed := map[int]bool{}
	for _, op := range call.ops {
		if state[op.key].version != op.version {
			failed[op.key] = true
		}
	}
	if result.conflict {
		for _, key := range result.failed {
			if !failed[key] {
				return false, state
			}
		}
		return len(failed) > 0 && len(result.failed) > 0, state
	}
	for _, op := range call.ops {
		switch op.do {
		case driver.OpPut:
			state[op.key] = cell{result.version, op.data}
		case driver.OpDelete:
			state[op.key] = cell{}
		}
	}
	return len(failed) == 0, state
}

// testLinearizable records the observations of concurrent clients on a few rows. Some
// order of their calls that agrees with real time must explain all observations.
func testLinearizable(t *testing.T, s suite) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now()
	for id := range linearClients {
		c := linearClient{suite: s, id: id, rand: rand.New(rand.NewPCG(1, uint64(id)))}
		wg.Go(func() {
			for i := range linearCalls {
				call := c.next(i)
				began := time.Since(start)
				result, err := c.do(t, call)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				history = append(history, porcupine.Operation{
					ClientId: id, Input: call, Call: int64(began), Output: result, Return: int64(time.Since(start)),
				})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	written := 0
	for _, op := range history {
		if len(op.Input.(linearCall).ops) > 1 && !op.Output.(linearResult).conflict {
			written++
		}
	}
	if written < linearClients {
		t.Errorf("only %d writes of several rows were not refused: the history says nothing", written)
	}
	switch result, _ := porcupine.CheckOperationsVerbose(linearModel, history, s.Patience); result {
	case porcupine.Illegal:
		t.Errorf("no order of these calls explains what they returned:\n%s", describe(history))
	case porcupine.Unknown:
		t.Errorf("no verdict on %d calls after %v", len(history), s.Patience)
	}
}

func describe(history []porcupine.Operation) (text string) {
	for _, op := range history {
		text += fmt.Sprintf("%d: %v to %v: %s\n", op.ClientId, time.Duration(op.Call), time.Duration(op.Return),
			linearModel.DescribeOperation(op.Input, op.Output))
	}
	return text
}

// linearClient makes the calls of one client.
type linearClient struct {
	suite
	id   int
	rand *rand.Rand
	seen linearState // last known state
	past []int       // rows known to have changed since
}

// next returns the client's next call, the i-th.
func (c *linearClient) next(i int) linearCall {
	if n := len(c.past); n > 0 {
		key := c.past[n-1]
		c.past = c.past[:n-1]
		return linearCall{key: key}
	}
	keys := c.rand.Perm(linearKeys)
	if c.rand.IntN(5) < 2 {
		return linearCall{key: keys[0]}
	}
	var call linearCall
	for _, key := range keys[:1+c.rand.IntN(linearKeys)] {
		op := linearOp{key: key, version: c.seen[key].version, data: fmt.Sprintf("%d-%d", c.id, i)}
		switch c.rand.IntN(6) {
		case 0:
			op.do = driver.OpCheck
		case 1:
			if op.version != driver.Absent {
				op.do = driver.OpDelete
			}
		}
		call.ops = append(call.ops, op)
	}
	return call
}

// do makes the call and remembers the state that it shows.
func (c *linearClient) do(t *testing.T, call linearCall) (linearResult, error) {
	key := func(i int) driver.Key { return c.row(strconv.Itoa(i)) }
	if call.ops == nil {
		row, err := c.Table.Get(t.Context(), key(call.key))
		if errors.Is(err, driver.ErrNotFound) {
			row, err = driver.Row{}, nil
		}
		c.seen[call.key] = cell{row.Version, string(row.Data)}
		return linearResult{got: c.seen[call.key]}, err
	}
	var ops []driver.Op
	for _, op := range call.ops {
		ops = append(ops, driver.Op{Do: op.do, Key: key(op.key), If: op.version, Data: []byte(op.data)})
	}
	version, err := c.Table.Write(t.Context(), ops...)
	var conflict *driver.ConflictError
	if errors.As(err, &conflict) {
		result := linearResult{conflict: true}
		for i := range linearKeys {
			for _, failed := range conflict.Keys {
				if failed == key(i) {
					result.failed = append(result.failed, i)
				}
			}
		}
		c.past = append(c.past, result.failed...)
		return result, nil
	}
	if err == nil {
		_, c.seen = linearStep(c.seen, call, linearResult{version: version})
	}
	return linearResult{version: version}, err
}
