package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// Partial lists the packages and files that an update could not take. It is part
// of the task's detail, and the body of the answer to a partial update.
//
// A package is missing if the archive lacks one of its files (404, 410 or 403),
// or has a file that differs from the index. A missing package is not in the
// mirror's list, so snapshots and publications never name a missing file. The
// previous package of the same version stays. The next update asks for missing
// files again, even if Release is unchanged.
type Partial struct {
	Partial         bool     `json:",omitempty"` // something was not taken
	MissingPackages int      `json:",omitempty"`
	MissingFiles    int      `json:",omitempty"` // of packages, and metadata files
	SkippedStanzas  int      `json:",omitempty"` // stanzas of indexes that describe no valid package
	Missing         []string `json:",omitempty"` // at most maxNamed packages, with the reason
	Reasons         []string `json:",omitempty"` // at most maxNamed files, with the reason
	Skipped         []string `json:",omitempty"` // at most maxNamed stanzas, with the reason

	// Damaged packages are as listed, so they are taken, but cannot be unpacked.
	DamagedPackages int      `json:",omitempty"`
	Damaged         []string `json:",omitempty"` // at most maxNamed, with the reason
}

// maxNamed bounds the files, the packages and the stanzas that an update names, and
// maxText the bytes of their lines together. The detail of a task is limited to 16
// KiB.
const (
	maxNamed = 20
	maxText  = 12 << 10
)

// name appends a line to one of the lists if there is room for it.
func (p *Partial) name(list *[]string, text string) {
	text = clip(text)
	size := len(text)
	for _, l := range [][]string{p.Missing, p.Reasons, p.Skipped, p.Damaged} {
		for _, line := range l {
			size += len(line)
		}
	}
	if len(*list) < maxNamed && size <= maxText {
		*list = append(*list, text)
	}
}

// addStanza counts a stanza that was skipped.
func (p *Partial) addStanza(reason string) {
	p.Partial = true
	p.SkippedStanzas++
	p.name(&p.Skipped, reason)
}

// addFile counts a file that was not taken.
func (p *Partial) addFile(reason string) {
	p.Partial = true
	p.MissingFiles++
	p.name(&p.Reasons, reason)
}

// addPackage counts a package that was not taken.
func (p *Partial) addPackage(name, reason string) {
	p.Partial = true
	p.MissingPackages++
	p.name(&p.Missing, name+": "+reason)
}

// addDamaged counts a package that is as listed and cannot be unpacked.
func (p *Partial) addDamaged(reason string) {
	p.DamagedPackages++
	p.name(&p.Damaged, reason)
}

// incomplete reports whether the next update must run although Release is
// unchanged.
func (p *Partial) incomplete() bool { return p.MissingPackages > 0 || p.MissingFiles > 0 }

// summary returns the counts in one line.
func (p *Partial) summary() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{p.MissingPackages, "packages are missing"}, {p.MissingFiles, "files could not be fetched as listed"}, {p.SkippedStanzas, "stanzas were skipped"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// strict reports whether the update fails if it cannot take everything.
func (u *update) strict() bool {
	if u.args.Strict != nil {
		return *u.args.Strict
	}
	return u.mirror.Strict
}

// report writes the missing and damaged packages to output, warnings and detail.
// It returns the result of the task.
func (u *update) report() task.Result {
	p := u.cursor.Partial
	for _, line := range p.Damaged {
		u.attempt.Printf("@y[!]@| @!damaged, taken as listed: %s@|\n", line)
	}
	if p.DamagedPackages > 0 {
		u.attempt.Warn("%d packages are as listed and cannot be unpacked, the first is %s", p.DamagedPackages, p.Damaged[0])
	}
	if !p.Partial {
		return task.Result{Code: 204}
	}
	for _, list := range [][]string{p.Reasons, p.Missing} {
		for _, line := range list {
			u.attempt.Printf("@y[!]@| @!missing: %s@|\n", line)
		}
	}
	if shown := len(p.Reasons) + len(p.Missing); shown < p.MissingFiles+p.MissingPackages {
		u.attempt.Printf("@y[!]@| @!and %d more@|\n", p.MissingFiles+p.MissingPackages-shown)
	}
	u.attempt.Warn("the update is partial: %s", p.summary())
	return task.Result{Code: 200, Value: p}
}

// change is a changed package of the mirror's list.
type change struct {
	old, new *deb.Package // old is nil for a new package, new for a removed one
	missing  string       // the reason, if a file of new is missing
}

// completeChange completes a changed package and stores its record. A missing
// file is noted in the change, or fails a strict update.
func (u *update) completeChange(ctx context.Context, c *change, differ map[deb.File]deb.File) error {
	if c.new == nil {
		return nil
	}
	lacks, err := u.complete(ctx, c.new, differ)
	switch {
	case err != nil:
		return err
	case lacks != "" && u.strict():
		return task.Fail(500, updateError+": %s of %v", lacks, c.new)
	case lacks != "":
		c.missing = lacks
		return nil
	}
	return u.ensureRecord(ctx, c.new)
}

// noPackagesError is the error of an update that took no package.
func (p *Partial) noPackagesError() error {
	reasons := slices.Clone(p.Reasons)
	if len(reasons) == 0 {
		reasons = slices.Clone(p.Missing)
	}
	if more := max(p.MissingFiles, len(reasons)) - len(reasons); more > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more", more))
	}
	return task.Fail(500, updateError+": download errors:\n  %s", strings.Join(reasons, "\n  "))
}
