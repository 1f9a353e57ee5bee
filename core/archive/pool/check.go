package pool

import (
	"context"
	"encoding/hex"
	"errors"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// maxListed bounds the names in each Listed of a report.
const maxListed = 100

// Listed is a count, and the names of the first 100 items counted.
type Listed struct {
	Number int
	Names  []string
}

// Add counts an item.
func (l *Listed) Add(name string) {
	if l.Number++; len(l.Names) < maxListed {
		l.Names = append(l.Names, name)
	}
}

// CheckReport is the result of Check.
type CheckReport struct {
	Records   int    // number of package records compared
	Missing   Listed // files that the pool lacks, with their package
	WrongSize Listed // files whose size is not that of the record, with their package
	Damaged   Listed // packages with an unreadable record
}

// Checking is the checkpoint of a check.
type Checking struct {
	After  string // last record compared
	Report CheckReport
}

// NewChecking returns the checkpoint of a new check. Its lists are [] in JSON, not
// null.
func NewChecking() Checking {
	var c Checking
	for _, l := range []*Listed{&c.Report.Missing, &c.Report.WrongSize, &c.Report.Damaged} {
		l.Names = []string{}
	}
	return c
}

// pausePage is the number of records between two calls of pause.
const pausePage = 1000

// Check compares the records of packages with the files in the pool, by existence
// and size. It changes nothing. It continues from at and calls pause whenever at is a
// checkpoint; an error of pause ends the check.
//
// It holds 40 bytes of memory per file. It looks a file up again before it reports
// it missing, since the file may have been stored during the check.
func (s *Store) Check(ctx context.Context, at *Checking, pause func(context.Context) error) error {
	return s.CheckEach(ctx, at, nil, pause)
}

// CheckEach is Check, and calls each for each package with a readable record. each may be
// nil.
func (s *Store) CheckEach(ctx context.Context, at *Checking, each func(*deb.Package), pause func(context.Context) error) error {
	sizes, err := s.sizes(ctx)
	if err != nil {
		return err
	}
	n := 0
	for row, err := range s.rowsAfter(ctx, recordPart, at.After) {
		if err != nil {
			return err
		}
		if err := s.checkRecord(ctx, row, sizes, each, &at.Report); err != nil {
			return err
		}
		at.After = row.Key.String()
		if n++; n%pausePage == 0 {
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// sizes returns the sizes of all package files by SHA-256.
func (s *Store) sizes(ctx context.Context) (map[[32]byte]int64, error) {
	sizes := map[[32]byte]int64{}
	for info, err := range s.Blobs.List(ctx, FilePrefix, "") {
		if err != nil {
			return nil, err
		}
		if sha256, ok := fileDigest(info.Key); ok {
			sizes[rawDigest(sha256)] = info.Size
		}
	}
	return sizes, nil
}

func rawDigest(sha256 string) (raw [32]byte) {
	if digest, err := hex.DecodeString(sha256); err == nil {
		copy(raw[:], digest)
	}
	return raw
}

// checkRecord compares the files of the package with this record row.
func (s *Store) checkRecord(ctx context.Context, row driver.Row, sizes map[[32]byte]int64, each func(*deb.Package), report *CheckReport) error {
	p, err := s.packageOf(ctx, row)
	if errors.Is(err, driver.ErrNotFound) { // the object of a large record is missing
		_, getErr := s.Table.Get(ctx, row.Key)
		if errors.Is(getErr, driver.ErrNotFound) {
			return nil // the record has been collected
		}
		if err = getErr; err == nil {
			err = ErrRecord
		}
	}
	if errors.Is(err, ErrRecord) {
		report.Damaged.Add(row.Sort)
		return nil
	}
	if err != nil {
		return err
	}
	report.Records++
	if each != nil {
		each(p)
	}
	for _, f := range p.Files {
		size, there := sizes[rawDigest(f.SHA256)]
		if there && size == f.Size {
			continue
		}
		info, err := s.Blobs.Stat(ctx, FileKey(f.SHA256))
		switch name := f.SHA256 + " of " + row.Sort; {
		case errors.Is(err, driver.ErrNotFound):
			report.Missing.Add(name)
		case err != nil:
			return err
		case info.Size != f.Size:
			report.WrongSize.Add(name)
		}
	}
	return nil
}
