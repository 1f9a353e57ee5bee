package fsck

import (
	"encoding/json"
	"fmt"
	"time"

	"aptless/core/engine/driver"
)

// Kind is a kind of damage.
type Kind string

// The kinds of damage.
const (
	DamagedRow       Kind = "row of unknown form"
	MissingName      Kind = "missing row of a name"
	StrayName        Kind = "name of nothing"
	MissingReference Kind = "missing reference"
	StrayReference   Kind = "reference of nothing"
	MissingSource    Kind = "published source that does not exist"
	MissingManifest  Kind = "missing manifest"
	DamagedList      Kind = "damaged list"
	MissingRecord    Kind = "missing package record"
	DamagedRecord    Kind = "damaged package record"
	MissingFile      Kind = "missing package file"
	ResizedFile      Kind = "package file of another size"
	OtherFile        Kind = "package file with other bytes"
	ForeignObject    Kind = "object of another program"
	MissingPublished Kind = "missing published file"
	ResizedPublished Kind = "published file of another size"
	OtherPublished   Kind = "published file with other bytes"
	ExtraPublished   Kind = "published file that no publication has"
	Unrecorded       Kind = "published file without a record"
	ReplacedFile     Kind = "published file of another publication"
	StaleLease       Kind = "task whose lease has ended"
	UnknownEntry     Kind = "calendar entry of unknown kind"
	LeftStaging      Kind = "staging that no task goes on with"
	MissingUpload    Kind = "missing uploaded file"
)

// Finding is one damage.
type Finding struct {
	Kind     Kind
	Object   string // key of the row or of the object
	Of       string `json:",omitempty"` // the object of a user that suffers, such as "repo hello"
	Detail   string `json:",omitempty"`
	Repaired bool   `json:",omitempty"`
}

// Unreferenced are things that no list needs. They are no damage: a cleanup deletes them.
type Unreferenced struct {
	Records, Files int
	Bytes          int64 // of the files
}

// Report is the result of a check.
type Report struct {
	Sound        bool // nothing is damaged, or all is repaired
	Deep         bool // the bytes of files were read
	Checked      Counts
	Findings     []Finding    // the first maxFindings
	Number       map[Kind]int // of all findings
	Repaired     int
	Unreferenced Unreferenced
}

// Counts are the numbers of things that a check has looked at.
type Counts struct {
	Rows, Lists, Chunks, Records, Files, Published int
}

// Bounds of a report.
const (
	maxFindings = 2000
	maxDetail   = 300 // bytes
)

// found adds a finding.
func (r *Report) found(f Finding) {
	if r.Number == nil {
		r.Number = map[Kind]int{}
	}
	r.Number[f.Kind]++
	if f.Repaired {
		r.Repaired++
	}
	if len(f.Detail) > maxDetail {
		f.Detail = f.Detail[:maxDetail] + "…"
	}
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, f)
	}
}

// end sets Sound.
func (r *Report) end() {
	all := 0
	for _, n := range r.Number {
		all += n
	}
	r.Sound = all == r.Repaired
}

// String says the outcome in a line.
func (r *Report) String() string {
	all := 0
	for _, n := range r.Number {
		all += n
	}
	c := r.Checked
	return fmt.Sprintf("%d rows, %d lists, %d chunks, %d package records, %d package files and %d published files are checked: %d are damaged, %d of them repaired",
		c.Rows, c.Lists, c.Chunks, c.Records, c.Files, c.Published, all, r.Repaired)
}

// Usage is the storage that objects take, by a check.
type Usage struct {
	At      time.Time // end of the check
	Objects []Object  // the largest ones first
	Bytes   int64     // of all package files that lists name, each once
}

// encode returns the usage as the data of a row. The smallest objects go if it is too large.
func (u Usage) encode() ([]byte, error) {
	for {
		data, err := json.Marshal(u)
		if err != nil || len(data) <= driver.MaxRowSize {
			return data, err
		}
		u.Objects = u.Objects[:len(u.Objects)/2]
	}
}

// Object is a repository, mirror, snapshot or publication with the size of its package
// files, in bytes. A file that two packages of a list name counts twice in Bytes.
type Object struct {
	Kind, Name string // "repo", "mirror", "snapshot" or "publish"; ./stable for a publication
	Storage    string `json:",omitempty"` // of a publication, with the two fields that follow
	Prefix     string `json:",omitempty"`
	Dist       string `json:"Distribution,omitempty"`
	Packages   int
	Bytes      int64
	Own        int64 // of the files that no other object has
}
