package publish_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// request is a request of any kind for a publication.
type request struct {
	publish.Name
	Kind                        publish.SourceKind
	Sources                     []publish.NamedSource
	Architectures               []string
	PoolLayout                  paths.Layout
	Options                     publish.Options
	ForceOverwrite, SkipCleanup bool
	publish.Signing
	Staged, Force, ResetDate bool
	Generation               int64
}

func (r *rig) checkCreate(ctx context.Context, segment string, q request) (task.Spec, error) {
	return r.publish.CheckCreate(ctx, segment, publish.CreateArgs{Name: q.Name, Kind: q.Kind, Sources: slices.Clone(q.Sources), Architectures: q.Architectures,
		PoolLayout: q.PoolLayout, Options: q.Options, ForceOverwrite: q.ForceOverwrite, Signing: q.Signing})
}

func (r *rig) checkUpdate(ctx context.Context, q request) (task.Spec, error) {
	return r.publish.CheckUpdate(ctx, publish.UpdateArgs{Name: q.Name, Sources: q.Sources, PoolLayout: q.PoolLayout, Options: q.Options,
		ForceOverwrite: q.ForceOverwrite, SkipCleanup: q.SkipCleanup, Staged: q.Staged, ResetDate: q.ResetDate, Signing: q.Signing})
}

func (r *rig) checkRollback(ctx context.Context, q request) (task.Spec, error) {
	return r.publish.CheckRollback(ctx, publish.RollbackArgs{Name: q.Name, Generation: q.Generation, ForceOverwrite: q.ForceOverwrite,
		SkipCleanup: q.SkipCleanup, Signing: q.Signing})
}

func (r *rig) checkDrop(ctx context.Context, q request) (task.Spec, error) {
	return r.publish.CheckDrop(ctx, publish.DropArgs{Name: q.Name, Force: q.Force, SkipCleanup: q.SkipCleanup})
}

// at names a distribution of the root prefix.
func at(dist string) request { return request{Name: publish.Name{Prefix: ".", Distribution: dist}} }

// from is at with a source as component main.
func from(dist, source string) request {
	args := at(dist)
	args.Kind, args.Sources = publish.Local, []publish.NamedSource{{Component: "main", Name: source}}
	if strings.HasPrefix(source, "snap") {
		args.Kind = publish.Snapshot
	}
	return args
}

func (r *rig) create(args request) error {
	spec, err := r.checkCreate(r.ctx, ":.", args)
	return r.run(spec, err)
}

func (r *rig) update(args request) error {
	spec, err := r.checkUpdate(r.ctx, args)
	return r.run(spec, err)
}

// relabel is an update that changes nothing but the label.
func (r *rig) relabel(dist string) error {
	label, args := fmt.Sprint(r.lastTask()), at(dist)
	args.Options.Label = &label
	return r.update(args)
}

func (r *rig) drop(args request) error {
	spec, err := r.checkDrop(r.ctx, args)
	return r.run(spec, err)
}

// dropOnly is drop by a process that cannot admit the task that removes the files.
func (r *rig) dropOnly(args request) error {
	spec, err := r.checkDrop(r.ctx, args)
	if err != nil {
		return err
	}
	t, err := r.tasks.Admit(r.ctx, spec, false)
	if err != nil {
		return err
	}
	table := r.tasks.Table
	r.tasks.Table = numberless{table}
	err = r.env.Drain(r.ctx, r.dispatcher.Handle)
	r.tasks.Table = table
	return cmp.Or(err, r.ended(t.ID))
}

// numberless is a Table whose tasks get no numbers.
type numberless struct{ driver.Table }

func (numberless) Add(context.Context, driver.Key, int64) (int64, error) { return 0, errBroken }
