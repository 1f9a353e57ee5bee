// Package publish owns publications: lists of packages as trees that apt reads.
//
// Stored layout, for the publication of a distribution under <storage>:<prefix>
// (the default storage is "", the root prefix "."):
//
//	publish / <storage>:<prefix>/<dist>         the Record
//	ref/<repo|snapshot>/<uuid> / publish/<storage>:<prefix>/<dist>  one for each source
//	expiry / <storage>:<prefix>/<dist>          when its Release is to be signed anew; only if it expires
//	pool/<storage>:<prefix> / <path>            a published package file: its SHA-256, and a mark while it is being replaced
//	private/publish/<id>/<task>-<attempt>/...   manifest, Release files and signatures, as staged
//	private/skel/<prefix>/dists/<dist>/<component>/...  files of operators, published as they are
//	public/<prefix>/dists/<dist>/...            what apt reads
//	public/<prefix>/dists/<alias>/...           the same, but for installers, under another name
//	public/<prefix>/pool/...                    package files; of the layout hash those of sources only
//	storage/<storage>/<prefix>/...              both, of publications to a named storage
//
// Publishing is plan, stage, commit, apply. Staging writes only names that no
// reader asks for yet: package files, by-hash objects, the private folder. The
// commit moves the Record to the new manifest. Applying brings the mutable
// names of the tree to the manifest, InRelease last, and removes what only the
// manifest before it has. Whoever takes the publication's lock next finishes
// what was broken off.
//
// Former manifests stay for a while, with the lists they name and the indexes by
// hash: whoever goes back to one signs anew what is already there.
//
// Invariant: the tree is never ahead of the Record, and the InRelease in it
// names only indexes that are there by hash.
package publish
