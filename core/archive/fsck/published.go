package fsck

import (
	"context"
	"encoding/json"
	"slices"

	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
)

// published checks the public trees, one publication after another.
func (k *check) published(ctx context.Context) error {
	got, err := k.Publish.InspectAll(ctx, k.attempt, publish.Inspection{Deep: k.Deep, Repair: k.Repair}, k.state.Notes, func(ctx context.Context, notes any) error {
		data, err := json.Marshal(notes)
		if err != nil {
			return err
		}
		k.state.Notes = data
		return k.save(ctx)
	})
	if err != nil {
		return err
	}
	k.state.Report.Checked.Published = got.Files.Checked
	for _, l := range []struct {
		kind Kind
		pool.Listed
	}{
		{MissingManifest, got.NoManifest}, {MissingPublished, got.Files.Missing}, {ResizedPublished, got.Files.WrongSize}, {OtherPublished, got.OtherBytes},
		{Unrecorded, got.Files.NoRow}, {ReplacedFile, got.Files.Replaced}, {ExtraPublished, got.Extra},
	} {
		for _, name := range l.Names {
			k.found(Finding{Kind: l.kind, Object: name, Repaired: slices.Contains(got.Files.PutBack.Names, name)})
		}
		for range l.Number - len(l.Names) {
			k.found(Finding{Kind: l.kind, Object: "…"})
		}
	}
	return nil
}
