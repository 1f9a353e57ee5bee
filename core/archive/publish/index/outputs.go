package index

import (
	"context"
	"errors"

	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
	"aptless/core/formats/members"
)

// outputs writes the files of an index from its parts.
type outputs struct {
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

// outputs begins the files of an index. With packedOnly the bytes of the plain
// file are not kept, only its digests.
func (st *Stager) outputs(ctx context.Context, src *source, packedOnly bool) (*outputs, error) {
	out := &outputs{gz: st.Spool(ctx, "gz"), plain: &Spool{hash: deb.NewHasherOf(st.Header.digests())}}
	if !packedOnly {
		out.plain = st.Spool(ctx, "plain")
	}
	for _, suffix := range src.suffixes {
		if st.packings[suffix] == nil {
			how, err := members.New(suffix)
			if err != nil {
				return nil, err
			}
			if st.packings == nil {
				st.packings = map[string]members.Packing{}
			}
			st.packings[suffix] = how
		}
		o := &output{Variant: Variant{Suffix: suffix}, how: st.packings[suffix], file: st.Spool(ctx, suffix[1:])}
		o.bits.To = o.file
		if err := o.write(o.how.Head(), int64(len(o.how.Head()))*8); err != nil {
			return nil, err
		}
		out.more = append(out.more, o)
	}
	return out, nil
}

func (o *output) write(data []byte, bits int64) error { return o.bits.Write(data, bits) }

// add writes a part to all files at the same time: their digests take most of the time.
func (out *outputs) add(p part) error {
	out.pieces = append(out.pieces, p.piece)
	plain := parallel.Start(func() (int, error) { return out.plain.Write(p.plain) })
	_, err := out.gz.Write(p.gz)
	for i, o := range out.more {
		o.Members = append(o.Members, p.more[i].Member)
		err = errors.Join(err, o.write(p.more[i].Data, p.more[i].Bits))
	}
	_, other := plain.Result()
	return errors.Join(other, err)
}

// stage ends the files, lists them, stages them and records them in x.
func (out *outputs) stage(st *Stager, src *source, x *Index) error {
	if err := out.finish(src); err != nil {
		return err
	}
	type target struct {
		from *Spool
		to   *Object
	}
	x.Pieces = out.pieces
	x.Plain = objectOf(out.plain.hash)
	targets := []target{{out.gz, &x.GZ}}
	if !x.Packed {
		targets = append([]target{{out.plain, &x.Plain}}, targets...)
	}
	for _, o := range out.more {
		targets = append(targets, target{o.file, &o.File})
	}
	for _, t := range targets {
		*t.to = objectOf(t.from.hash)
		st.Expect(File{x.Path, *t.to}.ByHash(st.tree())...)
	}
	for _, t := range targets {
		if _, err := st.Stage(t.from.ctx, x.Path, t.from); err != nil {
			return err
		}
	}
	for _, o := range out.more {
		x.More = append(x.More, o.Variant)
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
	out.plain.Abort()
	out.gz.Abort()
	for _, o := range out.more {
		o.file.Abort()
	}
}
