package client

import (
	"strconv"
	"time"
)

// MaxPart is the size of a part of an export. A shorter answer is the last one.
const MaxPart = 4 << 20

// Export is an export that a server keeps for a client.
type Export struct {
	ID     string
	Made   time.Time
	Size   int64
	SHA256 string
	Counts map[string]int
	Moment bool // all objects are of one moment
}

// ImportPlan is the server's answer about an import.
type ImportPlan struct {
	Missing  []string // package files that the server lacks
	Outcomes []string // of each object: created, updated, unchanged, kept or clash
}

// Imported is the report of an import.
type Imported struct {
	DryRun       bool
	Objects      map[string]map[string]int
	Kept         []string
	Clashes      []string
	Publications []struct{ Storage, Prefix, Distribution string }
	Packages     int
}

// Frozen is a copy of a server's data folder as it was at one moment.
type Frozen struct {
	ID, Path, Data string
	Objects        int
}

// FreezeData has the server make a copy of its data folder, on its own machine.
func FreezeData() Call[Frozen] { return Call[Frozen]{Method: "POST", Path: at("backups")} }

// ThawData removes such a copy.
func ThawData(id string) Call[Nothing] {
	return Call[Nothing]{Method: "DELETE", Path: at("backups", id)}
}

// CreateExport has the server export all objects.
func CreateExport() Call[Export] { return tasked[Export]("POST", at("exports"), nil) }

// ReadExport asks for a part of an export, from a byte on. The answer is no JSON: use Fetch.
func ReadExport(id, kind, name string, from int64) Call[Nothing] {
	call := get[Nothing](at("exports", id, kind, name))
	if from > 0 {
		call = call.With("from", strconv.FormatInt(from, 10))
	}
	return call
}

// DropExport removes an export.
func DropExport(id string) Call[Nothing] { return tasked[Nothing]("DELETE", at("exports", id), nil) }

// AskMissing asks which package files the server lacks, by SHA-256.
func AskMissing(sums []string) Call[ImportPlan] {
	return Call[ImportPlan]{Method: "POST", Path: at("import"), Body: struct{ Files []string }{sums}, Safe: true}
}

// Question is a question for the outcome of an import.
type Question struct {
	Objects          []string // lines of a transfer folder
	Overwrite, Empty bool     // as of ImportTransfer
}

// AskOutcomes asks for the outcome of an import. It changes nothing.
func AskOutcomes(q Question) Call[ImportPlan] {
	return Call[ImportPlan]{Method: "POST", Path: at("import"), Body: q, Safe: true}
}

// ImportTransfer imports the transfer folder in an upload directory. Parameters are
// dryRun, overwrite and empty.
func ImportTransfer(dir string) Call[Imported] {
	return tasked[Imported]("POST", at("import", dir), nil)
}

// RestorePublication publishes an imported publication.
func RestorePublication(p Place) Call[Publication] {
	return tasked[Publication]("POST", p.path("restore"), nil)
}
