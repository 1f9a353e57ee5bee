package pgp

import (
	"bytes"
	"fmt"
)

const (
	clearBegin = "-----BEGIN PGP SIGNED MESSAGE-----"
	hashHeader = "Hash: SHA256"
	dashEscape = "- "

	// maxLine bounds a line of clearsigned text. gpg 2.2 cuts lines above about
	// 20,000 bytes and then finds the signature bad.
	maxLine = 19995
)

// clearText is a parsed clearsigned text.
type clearText struct {
	lines [][]byte // without line ends and the white space before them
	sigs  []byte   // packets
}

// canonical returns the signed form of the text (RFC 4880, 7.1 and 5.2.4).
func (c *clearText) canonical() []byte { return bytes.Join(c.lines, []byte("\r\n")) }

// text returns the lines, each with its end.
func (c *clearText) text() []byte {
	if len(c.lines) == 0 {
		return nil
	}
	return append(bytes.Join(c.lines, []byte("\n")), '\n')
}

// trimLine removes the end of a line that a signature does not cover.
func trimLine(line []byte) []byte { return bytes.TrimRight(line, " \t\r") }

// clearLines splits a text into lines that can be signed.
func clearLines(text []byte) ([][]byte, error) {
	if len(text) > maxMessage {
		return nil, fmt.Errorf("text of %d bytes: %w", len(text), ErrTooLarge)
	}
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	for i, line := range lines {
		if lines[i] = trimLine(line); len(lines[i])+len(dashEscape) > maxLine {
			return nil, fmt.Errorf("line %d of %d bytes: %w", i+1, len(line), ErrTooLarge)
		}
	}
	return lines, nil
}

// appendClear writes the lines, then their signatures.
func appendClear(dst []byte, lines [][]byte, sigs []byte) []byte {
	dst = append(dst, clearBegin+"\n"+hashHeader+"\n\n"...)
	for _, line := range lines {
		if len(line) > 0 && line[0] == '-' {
			dst = append(dst, dashEscape...)
		}
		dst = append(append(dst, line...), '\n')
	}
	return armor(dst, armorSignature, sigs)
}

// isClearsigned reports whether data looks signed. aptly uses the same test.
func isClearsigned(data []byte) bool { return bytes.Contains(data, []byte("BEGIN PGP SIGN")) }

// parseClear parses a clearsigned text. It refuses text that gpg, apt and other
// tools have read in different ways. Refused are text around the block, headers
// other than Hash, a line of white space after them, and lines that begin with an
// unescaped dash.
func parseClear(data []byte) (*clearText, error) {
	if len(data) > maxMessage {
		return nil, fmt.Errorf("text of %d bytes: %w", len(data), ErrTooLarge)
	}
	if !isClearsigned(data) {
		return nil, ErrNotClearsigned
	}
	rest, err := clearHeaders(data)
	if err != nil {
		return nil, err
	}
	var c clearText
	for {
		if len(rest) == 0 {
			return nil, fmt.Errorf("clearsigned text without signature: %w", ErrMalformed)
		}
		before := rest
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		if text, escaped := bytes.CutPrefix(line, []byte(dashEscape)); escaped {
			line = text
		} else if kind, begins := beginsBlock(trimLine(line)); begins && kind == armorSignature {
			if len(c.lines) == 0 {
				c.lines = [][]byte{nil} // signing no line equals signing one empty line
			}
			c.sigs, err = unwrap(before, true, armorSignature)
			return &c, err
		} else if len(line) > 0 && line[0] == '-' {
			return nil, fmt.Errorf("line %d begins with a dash: %w", len(c.lines)+1, ErrMalformed)
		}
		c.lines = append(c.lines, trimLine(line))
	}
}

// clearHeaders returns the text after the headers.
func clearHeaders(data []byte) ([]byte, error) {
	bad := func(what string) ([]byte, error) {
		return nil, fmt.Errorf("clearsigned text: %s: %w", what, ErrMalformed)
	}
	rest := data
	for {
		var line []byte
		line, rest = cutLine(rest)
		if string(line) == clearBegin {
			break
		}
		if len(line) > 0 || len(rest) == 0 {
			return bad("something before it")
		}
	}
	for range maxArmorHeader {
		line, after, more := bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if !more {
			break
		}
		if rest = after; len(line) == 0 {
			return rest, nil
		}
		names, isHash := bytes.CutPrefix(line, []byte("Hash:"))
		for _, c := range names {
			isHash = isHash && (c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || bytes.IndexByte([]byte(", -"), c) >= 0)
		}
		if !isHash {
			return bad("a header that is not Hash")
		}
	}
	return bad("headers without end")
}

// StripClearsign returns the text of a clearsigned file without verifying it: the
// same text as VerifyClearsigned. An unsigned file is returned unchanged, with
// signed false.
func StripClearsign(data []byte) (text []byte, signed bool, err error) {
	if len(data) <= maxMessage && !isClearsigned(data) {
		return data, false, nil
	}
	c, err := parseClear(data)
	if err != nil {
		return nil, false, err
	}
	return c.text(), true, nil
}
