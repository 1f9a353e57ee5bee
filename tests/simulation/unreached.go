package simulation

import "strings"

// unreached are the call sites of ports that the clients of a run do not reach, by the
// begin of their path, with the reason. Sweeps of faults beside the packages reach them.
var unreached = map[string]string{
	"archive/fsck/check.go":        "reads of the size of the last check, which scrapes of metrics by a program ask for",
	"archive/fsck/upkeep.go":       "uploads without their object: damage",
	"archive/transfer/skeleton.go": "skeletons",
	"archive/transfer/packages.go": "files that go from the pool after the plan of an import",
	"archive/origin/":              "origins stay pending only if an import dies that has too many for one transaction",
	"archive/upload/read.go":       "uploads that are too large for one attempt to read",
	"archive/upstream/file.go":     "a preview of a mirror asks for sizes",
	"archive/mirror/mismatch.go":   "packages that have other fields than their index says",
	"archive/mirror/kinds.go":      "rows of earlier releases",
	"archive/pool/check.go":        "large records that lose their object during a check",
	"archive/pool/sums.go":         "checksums that packages of an old release lack",
	"archive/publish/ahead.go":     "only aptless serve renders ahead: the begin of a task ends it, which would make requests depend on times",
	"archive/publish/files/":       "installers, AppStream files, skeletons, and rows of earlier releases",
	"archive/publish/tree/":        "installers, and repairs of damage",
	"archive/publish/offers.go":    "rows of earlier releases",
	"archive/publish/packages.go":  "files come back only if an attempt is overtaken between two fenced writes",
	"engine/calendar/calendar.go":  "an entry whose subject has gone",
	"engine/gc/mark.go":            "rows that go between a scan and a read",
	"front/api/folder.go":          "folders of published files above a page",
	"front/auth/exchange.go":       "ID tokens, which an issuer has to sign",
	"front/auth/make.go":           "a command of the program adopts a secret",
	"front/auth/mode.go":           "commands of the program change the mode",
	"front/auth/sweep.go":          "tokens that ended 90 days ago, and ID tokens",
	"front/auth/edge.go":           "an installation with 50 values has its first edge",
}

// unexplained returns the sites that no run has called and that unreached does not list.
func unexplained(uncalled []string) []string {
	var all []string
	for _, site := range uncalled {
		listed := false
		for begin := range unreached {
			listed = listed || strings.HasPrefix(site, begin)
		}
		if !listed {
			all = append(all, site)
		}
	}
	return all
}
