// Package publish owns publications: lists of packages as trees that apt reads.
//
//	offers.go         for the rest of the program: tasks, roots and areas for the collector, files as of a time
//	dryrun.go         the Plan of a task: its changes, before it runs
//	create.go, update.go, again.go, drop.go, repair.go, recheck.go  the tasks; again.go has rollback and refresh
//	restore.go        a publication with given lists, for package transfer
//	ahead.go          indexes that are rendered before a publication needs them
//	protocol.go       the four steps: plan, stage, commit, apply
//	stage.go          the step stage: package files, indexes, Release files and signatures
//	lenders.go        other publications of the same lists
//	conflict.go       the error about two packages whose files have one path
//	clean.go          objects that attempts have staged: listed first, removed if they fail
//	basis.go          does an update change anything?
//	packages.go       package files that go
//	staging.go        the row of a publication that is being staged
//	removal.go        the row of a publication that was dropped
//	deletions.go      the row about deletions under way, and the fenced writes around each
//	late.go           the row about attempts whose calls may have their effect late
//	validate.go       refusals and locks
//	args.go           arguments of tasks, and the draft that is made of them
//	store.go          rows, and how clients see them
//	lent.go           which publication had a list last
//	rendered.go       which indexes were rendered ahead
//	publication.go    the row: settings, state, revisions, how long a Release is valid
//
// References between these files run down this list, never up.
//
// The rooms below it know no row of a publication and no task's arguments:
//
//	paths   every key, as pure functions
//	index   lists of packages to index files under their digests
//	files   package files, and the files of installers, mirrors and operators
//	tree    the manifest, and the public tree that is brought to it
//
// Stored layout, for a distribution below <storage>:<prefix> (the default
// storage is "", the root prefix "."); package paths has the objects:
//
//	publish / <storage>:<prefix>/<dist>         the Publication
//	ref/<repo|snapshot>/<uuid> / publish/<storage>:<prefix>/<dist>  one for each source
//	staging / <storage>:<prefix>/<dist>         folders and lists that attempts are staging
//	removal / <storage>:<prefix>/<dist>         a dropped publication whose files are not all removed
//	late / <storage>:<prefix>/<dist>            lists whose package files late calls may put or remove, until the recheck
//	deletions / <storage>:<prefix>              digests of keys that calls are deleting, or may delete late
//	calendar / publish/<storage>:<prefix>/<dist>  the debt of a commit: an apply or a removal
//	calendar / recheck/<storage>:<prefix>/<dist>  when its trees are compared with its rows: an attempt has not ended properly; may it put a Release file late?
//	calendar / expiry/<storage>:<prefix>/<dist>   when its Release is signed anew; only if it expires
//	inventory / <storage>:<prefix>/pool[/<area>]  the list of published package files: see package files
//	private/publish/<id>/<task>-<attempt>/...   manifest, Release files and signatures, as staged
//	private/ahead/<epoch>-<root of a list>/...  manifest and indexes that were rendered ahead: a cache
//
// Invariants:
//
//  1. Before the commit no file changes that a reader asks for. Package files,
//     by-hash objects and private files have names that no Release mentions.
//  2. The commit is one transaction: the row, its reference rows, the calendar.
//  3. The tree is never ahead of the row. Any task on the publication can finish
//     an apply that was interrupted.
//  4. The staging row, the inventories of folders and the lists name every object that
//     is staged.
//  5. The commit enters the package files of its lists into the inventory of their area.
//     The task has the area's lock. Files that go leave it when they are removed.
//  6. A call of an attempt that died, failed or was overtaken may have its effect late.
//     A recheck finds that, after the time in which such calls end.
//  7. No manifest is committed that names a key which a late call may delete.
//  8. The row of a removal names all package files that it may have, as long as it says
//     Shown. Its removal looks at them, also if its manifest is gone.
//  9. A manifest, its lists and its by-hash objects stay as long as the row names
//     the revision.
//  10. While a late call may put a Release file, all files that it names stay. No other
//     publication takes their place.
package publish
