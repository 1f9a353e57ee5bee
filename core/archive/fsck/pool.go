package fsck

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// pool checks package records and package files. The position of a slice begins with "r"
// among the records and with "f" among the files.
func (k *check) pool(ctx context.Context) error {
	if !strings.HasPrefix(k.at.After, "f") {
		if err := k.records(ctx, strings.TrimPrefix(k.at.After, "r")); err != nil {
			return err
		}
		k.at.After = "f"
		if err := k.pause(ctx, "f"); err != nil {
			return err
		}
	}
	return k.files(ctx, k.at.After[1:])
}

// records compares records with files, and finds records that are missing.
func (k *check) records(ctx context.Context, after string) error {
	at := pool.NewChecking()
	at.After = after
	told := [3]int{}
	tell := func() {
		r := &k.state.Report
		r.Checked.Records += at.Report.Records
		at.Report.Records = 0
		for i, l := range []struct {
			kind Kind
			pool.Listed
		}{{MissingFile, at.Report.Missing}, {ResizedFile, at.Report.WrongSize}, {DamagedRecord, at.Report.Damaged}} {
			for _, name := range l.Names[told[i]:] {
				object, of, _ := strings.Cut(name, " of ")
				if l.kind == DamagedRecord {
					k.found(Finding{Kind: l.kind, Object: name})
					continue
				}
				k.found(Finding{Kind: l.kind, Object: pool.FileKey(object), Of: "package " + of})
			}
			told[i] = len(l.Names)
		}
	}
	err := k.Pool.CheckEach(ctx, &at, func(p *deb.Package) {
		h := hashOf(p.Key())
		if _, ok := k.state.Needed[h]; ok {
			k.state.Needed[h] = true
		} else {
			k.state.Report.Unreferenced.Records++
		}
	}, func(ctx context.Context) error {
		if !k.attempt.SliceOver() {
			return nil
		}
		tell()
		return k.pause(ctx, "r"+at.After)
	})
	if err != nil {
		return err
	}
	tell()
	for _, name := range at.Report.Damaged.Names {
		k.state.Needed[hashOf(name)] = true // there, though damaged
	}
	return k.missingRecords(ctx)
}

// files lists the pool: objects of other programs, files that nothing needs, and with
// Deep files with other bytes.
func (k *check) files(ctx context.Context, after string) error {
	for info, err := range k.Blobs.List(ctx, pool.FilePrefix, after) {
		if err != nil {
			return err
		}
		sha256 := info.Key[strings.LastIndexByte(info.Key, '/')+1:]
		if raw, err := hex.DecodeString(sha256); err != nil || len(raw) != 32 || pool.FileKey(sha256) != info.Key {
			k.found(Finding{Kind: ForeignObject, Object: info.Key})
			continue
		}
		k.state.Report.Checked.Files++
		f, needed := k.state.Files[hashOf(sha256)]
		if !needed {
			k.state.Report.Unreferenced.Files++
			k.state.Report.Unreferenced.Bytes += info.Size
		}
		if k.Deep && (!needed || f.Size == info.Size || f.Size == 0) { // another size is reported already
			same, err := k.has(ctx, info.Key, sha256)
			if err != nil {
				return err
			}
			if !same {
				k.found(Finding{Kind: OtherFile, Object: info.Key})
			}
		}
		if err := k.pause(ctx, "f"+info.Key); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether an object has a digest. An object that is gone has.
func (k *check) has(ctx context.Context, key, digest string) (bool, error) {
	r, _, err := k.Blobs.Open(ctx, key, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return false, err
	}
	return hex.EncodeToString(h.Sum(nil)) == digest, nil
}
