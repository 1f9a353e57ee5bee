package gc

import "aptless/core/engine/lists"

// Roots is what a row needs of the storage besides itself.
type Roots struct {
	Packages []lists.Ref // lists of packages, with their records and files
	Lists    []lists.Ref // other lists
	Files    []string    // SHA-256 of pool files that are in no package
	Keys     []string    // prefixes of the keys of private objects that are the row's own
}
