package simulation

import "strings"

// unreached are the call sites of ports that the clients of a run do not reach, by the
// begin of their path, with the reason. Sweeps of faults beside the packages reach them.
var unreached = map[string]string{
	"archive/fsck/":               "a check of the whole storage is a command of operators: fsck has sweeps of its own",
	"archive/transfer/":           "exports and imports are commands of operators",
	"archive/origin/":             "origins of an import have objects of their own only if there are many",
	"archive/upload/direct.go":    "direct uploads need a storage with signed addresses",
	"archive/upload/parts.go":     "direct uploads need a storage with signed addresses",
	"archive/upload/owner.go":     "folders have owners only if there are tokens",
	"archive/upload/read.go":      "reads of uploads that were put directly",
	"archive/upload/upload.go":    "uploads into folders of folders",
	"archive/upstream/file.go":    "a preview of a mirror asks for sizes",
	"archive/mirror/mismatch.go":  "packages that have other fields than their index says",
	"archive/mirror/secret.go":    "mirrors with a password",
	"archive/mirror/kinds.go":     "the schedule of a mirror that has gone",
	"archive/pool/":               "repairs of records, and checksums that old packages lack",
	"archive/publish/files/":      "installers, AppStream files, skeletons, and rows of earlier releases",
	"archive/publish/tree/":       "installers, and repairs of damage",
	"archive/publish/offers.go":   "previews of updates",
	"archive/publish/ahead.go":    "only aptless serve renders ahead: the begin of a task ends it, which would make requests depend on times",
	"archive/publish/browse.go":   "pages for people",
	"archive/publish/inspect.go":  "fsck asks for the needs of a publication",
	"archive/publish/packages.go": "lists of the packages of a publication",
	"engine/calendar/calendar.go": "an entry without a next time",
	"engine/gc/mark.go":           "rows that go between a scan and a read",
	"engine/named/named.go":       "names without their row, which repairs find",
	"engine/task/store.go":        "arguments and outputs above 32 KiB",
	"front/api/folder.go":         "uploads into folders of folders",
	"front/app/":                  "cleanups of rows of earlier releases, and the signature of a publication",
	"front/audit/":                "queries of the audit",
	"front/auth/":                 "tokens, policies and bindings: the server of a run is open",
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
