package index

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"aptless/core/engine/parallel"
	"aptless/core/formats/members"
)

// outputs writes the files of an index from its parts.
type outputs struct {
	number    int // see Stager.Spool
	pieces    []Piece
	plain, gz *Spool
	more      []*output // for each of the source's packings
}

// output is a compressed file besides that of gzip.
type output struct {
	Variant
	how  members.Packing
	file *Spool
	bits members.Joiner
}

// usePackings makes the packings of suffixes that are not in use.
func (st *Stager) usePackings(suffixes []string) error {
	if st.packings == nil {
		st.packings = map[string]members.Packing{}
	}
	for _, suffix := range suffixes {
		if st.packings[suffix] != nil {
			continue
		}
		how, err := members.New(suffix)
		if err != nil {
			return err
		}
		st.packings[suffix] = how
	}
	return nil
}

// outputs begins the files of an index. With packedOnly the bytes of the plain
// file are not kept, only its digests.
func (st *Stager) outputs(ctx context.Context, src *source, packedOnly bool, number int) *outputs {
	open := func(name string) *Spool {
		if number > 0 {
			name = fmt.Sprintf("%s-%d", name, number)
		}
		return st.Spool(ctx, name)
	}
	last := src.last
	if last == nil {
		last = &Index{}
	}
	out := &outputs{number: number, gz: open("gz"), plain: &Spool{digest: newDigester(st.Header.digests())}}
	if !packedOnly {
		out.plain = open("plain")
		out.plain.expect = last.Plain.Size
	}
	out.gz.expect = last.GZ.Size
	for _, suffix := range src.suffixes {
		o := &output{Variant: Variant{Suffix: suffix}, how: src.packings[suffix], file: open(suffix[1:])}
		o.bits.To = o.file
		if v := last.variant(suffix); v != nil {
			o.file.expect = v.File.Size
		}
		out.more = append(out.more, o)
	}
	return out
}

// resume lets the files go on from States of the last index, as far as the jobs copy its
// beginning.
func (out *outputs) resume(src *source, jobs []job, all bool) error {
	var last Index
	var plain, gz int64
	pieces := 0
	if len(jobs) > 0 && jobs[0].copied != nil && jobs[0].first == 0 && !slices.ContainsFunc(jobs[0].copied, func(p Piece) bool { return p.Sums == nil }) {
		last, plain, gz, pieces = *src.last, jobs[0].plain, jobs[0].gz, len(jobs[0].copied)
	}
	err := errors.Join(out.plain.digest.resume(last.PlainStates, last.Plain, plain, all), out.gz.digest.resume(last.GZStates, last.GZ, gz, all))
	src.passes = out.plain.digest.from > 0 || out.gz.digest.from > 0
	for _, o := range out.more {
		head := o.how.Head()
		bits, had := int64(len(head))*8, Variant{}
		if v := last.variant(o.Suffix); v != nil {
			had = *v
			for _, m := range v.Members[:pieces] {
				bits += m.Bits
			}
		}
		err = errors.Join(err, o.file.digest.resume(had.States, had.File, bits/8, all), o.write(head, int64(len(head))*8))
		src.passes = src.passes || o.file.digest.from > 0
	}
	src.packedFrom = 0
	if out.plain.blobs == nil {
		src.packedFrom = out.plain.digest.from
	}
	return err
}

func (o *output) write(data []byte, bits int64) error { return o.bits.Write(data, bits) }

// add writes a part to all files at the same time: their digests take most of the time.
func (out *outputs) add(p part) error {
	out.pieces = append(out.pieces, p.piece)
	plain := parallel.Start(func() (int, error) {
		if p.passed {
			out.plain.digest.pass(p.piece.Plain)
			return 0, nil
		}
		return out.plain.Write(p.plain)
	})
	_, err := out.gz.Write(p.gz)
	for i, o := range out.more {
		o.Members = append(o.Members, p.more[i].Member)
		err = errors.Join(err, o.write(p.more[i].Data, p.more[i].Bits))
	}
	_, other := plain.Result()
	return errors.Join(other, err)
}

// settle records the files in x.
func (out *outputs) settle(x *Index) {
	x.Pieces = out.pieces
	x.Plain, x.PlainStates = out.plain.digest.object()
	x.GZ, x.GZStates = out.gz.digest.object()
	for _, o := range out.more {
		o.File, o.States = o.file.digest.object()
		x.More = append(x.More, o.Variant)
	}
}

// store stages the files.
func (out *outputs) store(ctx context.Context, st *Stager, x *Index) error {
	spools := []*Spool{out.gz}
	if !x.Packed {
		spools = append([]*Spool{out.plain}, spools...)
	}
	for _, o := range out.more {
		spools = append(spools, o.file)
	}
	for _, s := range spools {
		if _, err := st.Stage(ctx, x.Path, s); err != nil {
			return err
		}
	}
	return nil
}

// finish writes the ends of the compressed files.
func (out *outputs) finish(src *source) error {
	if len(out.pieces) == 0 { // no member at all is no gzip file
		if _, err := out.gz.Write(src.member(nil, nil)); err != nil {
			return err
		}
	}
	plain := make([]int64, len(out.pieces))
	for i, p := range out.pieces {
		plain[i] = p.Plain
	}
	for _, o := range out.more {
		if err := o.write(o.how.Tail(plain, o.Members)); err != nil {
			return err
		}
		if err := o.bits.Close(); err != nil {
			return err
		}
	}
	return nil
}

// abort ends the files that were not staged; nothing is left of them.
func (out *outputs) abort() {
	if out == nil {
		return
	}
	out.plain.Abort()
	out.gz.Abort()
	for _, o := range out.more {
		o.file.Abort()
	}
}
