package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// Partial says what an update could not take. It is part of the task's detail,
// and the body of the answer to an update that is not complete.
//
// A package is missing if the archive does not have one of its files (404, 410
// or 403) or has another one than its index says. It is not in the mirror's list
// then, so no snapshot and no publication names a file that is not there; a
// package of the same version that the mirror had before stays. The next update
// asks for what is missing, also if the archive has not changed.
type Partial struct {
	Partial         bool     `json:",omitempty"` // something was not taken
	MissingPackages int      `json:",omitempty"`
	MissingFiles    int      `json:",omitempty"` // of packages and beside them
	SkippedStanzas  int      `json:",omitempty"` // of indexes, that describe no package
	Missing         []string `json:",omitempty"` // at most maxNamed packages, with the reason
	Reasons         []string `json:",omitempty"` // at most maxNamed files, with the reason

	// Packages that were taken, since they are as listed, and cannot be unpacked.
	DamagedPackages int      `json:",omitempty"`
	Damaged         []string `json:",omitempty"` // at most maxNamed, with the reason
}

// maxNamed is how many files and how many packages an update names: the detail of
// a task is limited to 16 KiB.
const maxNamed = 20

// addFile notes a file that was not taken.
func (p *Partial) addFile(reason string) {
	p.Partial = true
	p.MissingFiles++
	if len(p.Reasons) < maxNamed {
		p.Reasons = append(p.Reasons, clip(reason))
	}
}

// addPackage notes a package that was not taken.
func (p *Partial) addPackage(name, reason string) {
	p.Partial = true
	p.MissingPackages++
	if len(p.Missing) < maxNamed {
		p.Missing = append(p.Missing, clip(name+": "+reason))
	}
}

// addDamaged notes a package that is as listed and cannot be unpacked.
func (p *Partial) addDamaged(reason string) {
	p.DamagedPackages++
	if len(p.Damaged) < maxNamed {
		p.Damaged = append(p.Damaged, clip(reason))
	}
}

// lacks reports whether an update of the same archive may find what this one
// has not.
func (p *Partial) lacks() bool { return p.MissingPackages > 0 || p.MissingFiles > 0 }

// summary is one line about all of it.
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

// strict reports whether an update fails if anything cannot be taken.
func (u *update) strict() bool {
	if u.args.Strict != nil {
		return *u.args.Strict
	}
	return u.mirror.Strict
}

// report tells in output, warnings and detail what was not taken, and returns
// the result of the task.
func (u *update) report() task.Result {
	p := u.at.Partial
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

// change is a package whose entry in the mirror's list changes.
type change struct {
	old, new *deb.Package // nil of a package that is new or has gone
	lacks    string       // why the files of new are not all there
}

// taken completes the packages of changes and stores their records. A package
// that lacks a file is named in its change, or fails a strict update.
func (u *update) taken(ctx context.Context, c *change, differ map[deb.File]deb.File) error {
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
		c.lacks = lacks
		return nil
	}
	return u.recorded(ctx, c.new)
}

// failures is the error of an update of which nothing was taken.
func (p *Partial) failures() error {
	reasons := slices.Clone(p.Reasons)
	if len(reasons) == 0 {
		reasons = slices.Clone(p.Missing)
	}
	if more := max(p.MissingFiles, len(reasons)) - len(reasons); more > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more", more))
	}
	return task.Fail(500, updateError+": download errors:\n  %s", strings.Join(reasons, "\n  "))
}
