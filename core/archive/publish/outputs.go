package publish

import (
	"context"

	"aptless/core/formats/deb"
	"aptless/core/formats/members"
)

// outputs takes the parts of an index and writes its files.
type outputs struct {
	pieces    []piece
	plain, gz *spool
	more      []*output // for each of the source's packings
}

// output is a compressed file besides that of gzip.
type output struct {
	variant
	how  members.Packing
	file *spool
	bits members.Joiner
}

// outputs begins the files of an index. Of a plain file that is not in the tree
// only the digests are wanted.
func (st *stager) outputs(ctx context.Context, src *source, packedOnly bool) (*outputs, error) {
	out := &outputs{gz: st.spool(ctx, "gz"), plain: &spool{hash: deb.NewHasher()}}
	if !packedOnly {
		out.plain = st.spool(ctx, "plain")
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
		o := &output{variant: variant{Suffix: suffix}, how: st.packings[suffix], file: st.spool(ctx, suffix[1:])}
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

// stage ends the files, stages them and says in x what they are.
func (out *outputs) stage(st *stager, src *source, x *index) (err error) {
	x.Pieces = out.pieces
	if len(x.Pieces) == 0 { // no member at all is no gzip file
		if _, err := out.gz.Write(src.member(nil, nil)); err != nil {
			return err
		}
	}
	if x.Packed {
		x.Plain = objectOf(out.plain.hash)
	} else if x.Plain, err = st.stage(out.plain.ctx, x.Path, out.plain); err != nil {
		return err
	}
	if x.GZ, err = st.stage(out.gz.ctx, x.Path, out.gz); err != nil {
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
		if o.File, err = st.stage(o.file.ctx, x.Path, o.file); err != nil {
			return err
		}
		x.More = append(x.More, o.variant)
	}
	return nil
}

// abort leaves nothing of files that were not staged.
func (out *outputs) abort() {
	out.plain.abort()
	out.gz.abort()
	for _, o := range out.more {
		o.file.abort()
	}
}
