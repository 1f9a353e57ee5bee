package simulation

import "strings"

// unreached are the call sites of ports that the clients of a run do not reach, by the
// begin of their path, with the reason. Sweeps of faults beside the packages reach them.
var unreached = map[string]string{
	"archive/drop/take.go":         "a .changes or .dsc in the drop box",
	"archive/fsck/check.go":        "reads of the size of the last check, which metrics ask for",
	"archive/fsck/upkeep.go":       "uploads without their object: damage",
	"archive/transfer/packages.go": "imports of a transfer folder",
	"archive/transfer/plan.go":     "imports of a transfer folder",
	"archive/transfer/rows.go":     "imports of a transfer folder",
	"archive/transfer/waiting.go":  "imports of a transfer folder",
	"archive/transfer/export.go":   "parts of an export, and exports that have gone",
	"archive/origin/":              "origins are pending only if an import has too many for one transaction",
	"archive/upload/direct.go":     "direct uploads need a storage with signed addresses",
	"archive/upload/parts.go":      "direct uploads need a storage with signed addresses",
	"archive/upload/owner.go":      "folders have owners only if each request has a token: the server of a run is open",
	"archive/upload/read.go":       "reads of uploads that were put directly",
	"archive/upload/upload.go":     "uploads into folders of folders",
	"archive/upstream/file.go":     "a preview of a mirror asks for sizes",
	"archive/mirror/mismatch.go":   "packages that have other fields than their index says",
	"archive/mirror/secret.go":     "mirrors with a password",
	"archive/mirror/kinds.go":      "the schedule of a mirror that has gone",
	"archive/pool/all.go":          "searches of all packages by name",
	"archive/pool/areas.go":        "records above the size of a row",
	"archive/pool/check.go":        "records above the size of a row",
	"archive/pool/record.go":       "records above the size of a row",
	"archive/pool/sums.go":         "checksums that packages of an old release lack",
	"archive/publish/ahead.go":     "only aptless serve renders ahead: the begin of a task ends it, which would make requests depend on times",
	"archive/publish/browse.go":    "dates of signatures in pages for people",
	"archive/publish/files/":       "installers, AppStream files, skeletons, and rows of earlier releases",
	"archive/publish/tree/":        "installers, and repairs of damage",
	"archive/publish/offers.go":    "rows of earlier releases",
	"archive/publish/packages.go":  "files come back only if an attempt is overtaken between two fenced writes",
	"engine/calendar/calendar.go":  "an entry whose subject has gone",
	"engine/gc/mark.go":            "rows that go between a scan and a read",
	"engine/named/named.go":        "names without their row, which repairs find",
	"engine/task/store.go":         "arguments and outputs above 32 KiB",
	"front/api/folder.go":          "folders of published files above a page",
	"front/app/cleanups.go":        "scheduled collections: an option of serve",
	"front/auth/":                  "secrets, private publications and the copies of them on the edge: the server of a run is open",
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
