package mirror

import (
	"fmt"
	"slices"
	"strings"

	"aptless/core/engine/task"
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

const updateError = "unable to update"

// After maxFailures failed files in a row no further file is tried. At most
// maxFailures failures are named. maxFailure bounds an error's text, in bytes.
const (
	maxFailures = 50
	maxFailure  = 300
)

func clip(text string) string {
	if len(text) > maxFailure {
		return fmt.Sprintf("%.*s…", maxFailure, text)
	}
	return text
}
