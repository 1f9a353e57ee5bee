package cli_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
)

// changesOf returns an unsigned .changes of the package cc.
func changesOf(deb []byte) []byte {
	const name = "cc_1_all.deb"
	return fmt.Appendf(nil, `Format: 1.8
Date: Mon, 05 Jan 2026 10:00:00 +0000
Source: cc
Binary: cc
Architecture: all
Version: 1
Distribution: stable
Urgency: low
Maintainer: T <t@example.org>
Changed-By: T <t@example.org>
Description:
 cc - test
Changes:
 cc (1) stable; urgency=low
Checksums-Sha1:
 %x %[4]d %[5]s
Checksums-Sha256:
 %[2]x %[4]d %[5]s
Files:
 %[3]x %[4]d misc optional %[5]s
`, sha1.Sum(deb), sha256.Sum256(deb), md5.Sum(deb), len(deb), name)
}
