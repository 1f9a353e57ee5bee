package pgp

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// Types of armored blocks (RFC 4880, 6.2).
const (
	armorPublic    = "PGP PUBLIC KEY BLOCK"
	armorSecret    = "PGP PRIVATE KEY BLOCK"
	armorSignature = "PGP SIGNATURE"
)

const (
	armorBegin     = "-----BEGIN "
	armorEnd       = "-----END "
	armorDashes    = "-----"
	armorWidth     = 64  // characters of base64 in a line
	maxArmorHeader = 100 // header lines of a block
)

// armor writes data as one block with a checksum. gpgv 2.2 accepts no clearsigned
// text without one.
func armor(dst []byte, kind string, data []byte) []byte {
	dst = append(dst, armorBegin+kind+armorDashes+"\n\n"...)
	for text := base64.StdEncoding.EncodeToString(data); text != ""; {
		n := min(len(text), armorWidth)
		dst = append(append(dst, text[:n]...), '\n')
		text = text[n:]
	}
	crc := crc24(data)
	dst = append(dst, '=')
	dst = base64.StdEncoding.AppendEncode(dst, []byte{byte(crc >> 16), byte(crc >> 8), byte(crc)})
	return append(dst, "\n"+armorEnd+kind+armorDashes+"\n"...)
}

// crc24 returns the checksum of RFC 4880, 6.1.
func crc24(data []byte) uint32 {
	crc := uint32(0xb704ce)
	for _, b := range data {
		crc ^= uint32(b) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	return crc & 0xffffff
}

// skipHeaders returns the lines after the headers of a block and the empty line
// after them. wrong is the reason of a refusal.
func skipHeaders(rest []byte) (text []byte, wrong string) {
	for n := 0; len(rest) > 0; n++ {
		var line []byte
		if line, rest = cutLine(rest); len(line) == 0 {
			return rest, ""
		}
		if n == maxArmorHeader || !bytes.Contains(line, []byte(":")) {
			return nil, "headers"
		}
	}
	return nil, "no end"
}

// dearmor decodes a block of the given kind, whose first line has been read. It
// also returns the lines after the block.
func dearmor(kind string, lines []byte) (data, rest []byte, err error) {
	bad := func(what string) ([]byte, []byte, error) {
		return nil, nil, fmt.Errorf("armor of %s: %s: %w", kind, what, ErrMalformed)
	}
	rest, wrong := skipHeaders(lines)
	if wrong != "" {
		return bad(wrong)
	}
	var line, text []byte
	sum := -1
	for {
		if len(rest) == 0 {
			return bad("no end")
		}
		line, rest = cutLine(rest)
		if bytes.HasPrefix(line, []byte(armorEnd)) {
			break
		}
		if sum >= 0 {
			return bad("text behind the checksum")
		}
		if len(line) == 5 && line[0] == '=' {
			var crc [3]byte
			if n, err := base64.StdEncoding.Decode(crc[:], line[1:]); err != nil || n != 3 {
				return bad("checksum")
			}
			sum = int(crc[0])<<16 | int(crc[1])<<8 | int(crc[2])
			continue
		}
		text = append(text, line...)
	}
	if string(line) != armorEnd+kind+armorDashes {
		return bad("another block's end")
	}
	data = make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if err != nil {
		return bad("base64")
	}
	if data = data[:n]; sum >= 0 && uint32(sum) != crc24(data) {
		return bad("checksum")
	}
	return data, rest, nil
}

// cutLine returns the first line without its end and leading white space, which
// armor ignores, and the rest.
func cutLine(data []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(data, []byte("\n"))
	return bytes.TrimRight(line, " \t\r"), rest
}

// beginsBlock returns the kind of the block that the line begins.
func beginsBlock(line []byte) (kind string, ok bool) {
	after, begins := bytes.CutPrefix(line, []byte(armorBegin))
	inner, ends := bytes.CutSuffix(after, []byte(armorDashes))
	return string(inner), begins && ends
}

// unwrap returns the packets in data, joined. They are binary, or in armored
// blocks of the given kinds. Unless strict, it skips text around the blocks and
// blocks of other kinds. Without any block the result is empty.
func unwrap(data []byte, strict bool, kinds ...string) ([]byte, error) {
	if len(data) > 0 && data[0]&0x80 != 0 {
		return data, nil
	}
	var packets []byte
	for rest := data; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		kind, begins := beginsBlock(line)
		wanted := false
		for _, k := range kinds {
			wanted = wanted || begins && k == kind
		}
		if !wanted {
			if strict && len(line) > 0 {
				return nil, fmt.Errorf("text outside the armor: %w", ErrMalformed)
			}
			continue
		}
		var block []byte
		var err error
		if block, rest, err = dearmor(kind, rest); err != nil {
			return nil, err
		}
		packets = append(packets, block...)
	}
	return packets, nil
}
