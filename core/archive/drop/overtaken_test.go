package drop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
	"aptless/core/front/app/apptest"
)

// pausing is a table whose first write of claims has others work before it. The process
// reads no row after that write.
type pausing struct {
	driver.Table
	others func()
	wrote  bool
}

var errAfter = errors.New("the process reads no row any more")

// claims calls others before the first write of claims.
func (p *pausing) claims(keys ...driver.Key) {
	if slices.ContainsFunc(keys, func(k driver.Key) bool { return k.Part == "drop" }) && !p.wrote {
		p.wrote = true
		p.others()
	}
}

func (p *pausing) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	var keys []driver.Key
	for _, op := range ops {
		keys = append(keys, op.Key)
	}
	p.claims(keys...)
	return p.Table.Write(ctx, ops...)
}

func (p *pausing) Put(ctx context.Context, rows ...driver.Row) error {
	var keys []driver.Key
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	p.claims(keys...)
	return p.Table.Put(ctx, rows...)
}

func (p *pausing) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	if p.wrote {
		return driver.Row{}, errAfter
	}
	return p.Table.Get(ctx, key)
}

// takeAgain delivers the message of the running task that takes files to another process.
func (b *box) takeAgain() error {
	for _, data := range b.Env.Memory.Rows("task") {
		var row task.Task
		if err := json.Unmarshal([]byte(data), &row); err != nil {
			return err
		}
		if row.Kind == "drop.take" && row.State == task.Running {
			_, err := b.Dispatcher.Handle(b.Ctx, driver.Message{Group: row.Group, ID: "again", Body: fmt.Sprint(row.ID), Receipt: "1"})
			return err
		}
	}
	return errors.New("no task takes files")
}

// TestOvertakenAttemptClaimsNothing has an attempt stand still before it writes the claims
// of the files that it imports. Another attempt takes its place, and the import ends. The
// first one writes no claims then, and dies.
func TestOvertakenAttemptClaimsNothing(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	signer := apptest.Signer(t)
	p, err := apptest.Start(t.Context(), env, signer)
	if err == nil {
		err = ready(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &box{p, t}
	slow := *env
	table := &pausing{Table: env.Table}
	table.others = func() {
		env.Clock.Advance(time.Hour)
		err := errors.Join(b.takeAgain(), b.Drain())
		if err != nil {
			t.Error(err)
		}
	}
	slow.Table = table
	first, err := apptest.Start(t.Context(), &slow, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(first, "r/bb_1_amd64.deb", apptest.Deb("bb", "1", "amd64")); err != nil && !errors.Is(err, errAfter) {
		t.Fatal(err)
	}
	if !table.wrote {
		t.Fatal("the attempt writes no claims")
	}
	if err := b.Resume(); err != nil {
		t.Fatal(err)
	}
	b.has("bb")
	if left := b.objects(); left != "" {
		t.Errorf("left: %s", left)
	}
}
