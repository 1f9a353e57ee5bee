package index

import (
	"context"

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
	out := &outputs{gz: st.Spool(ctx, "gz"), plain: &Spool{hash: deb.NewHasher()}}
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

// add writes a part.
func (out *outputs) add(p part) error {
	out.pieces = append(out.pieces, p.piece)
	if _, err := out.plain.Write(p.plain); err != nil {
		return err
	}
	if _, err := out.gz.Write(p.gz); err != nil {
		return err
	}
	for i, o := range out.more {
		o.Members = append(o.Members, p.more[i].Member)
		if err := o.write(p.more[i].Data, p.more[i].Bits); err != nil {
			return err
		}
	}
	return nil
}

// stage ends the files, stages them and records them in x.
func (out *outputs) stage(st *Stager, src *source, x *Index) error {
	stage := func(s *Spool, to *Object) error {
		f, err := st.Stage(s.ctx, x.Path, s)
		*to = f.Object
		return err
	}
	x.Pieces = out.pieces
	if len(x.Pieces) == 0 { // no member at all is no gzip file
		if _, err := out.gz.Write(src.member(nil, nil)); err != nil {
			return err
		}
	}
	if x.Packed {
		x.Plain = objectOf(out.plain.hash)
	} else if err := stage(out.plain, &x.Plain); err != nil {
		return err
	}
	if err := stage(out.gz, &x.GZ); err != nil {
		return err
	}
	plain := make([]int64, len(x.Pieces))
	for i, p := range x.Pieces {
		plain[i] = p.Plain
	}
	for _, o := range out.more {
		if err := o.write(o.how.Tail(plain, o.Members)); err != nil {
			return err
		}
		if err := o.bits.Close(); err != nil {
			return err
		}
		if err := stage(o.file, &o.File); err != nil {
			return err
		}
		x.More = append(x.More, o.Variant)
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
