// Package transfer owns the transfer format: repositories, mirrors, snapshots and
// publications with their packages, outside of any server. It exports a server's
// objects and loads objects of a transfer folder.
//
// # A transfer folder
//
//	manifest.json              the Manifest: format, version, counts, digest of the objects
//	objects-<sha256>.jsonl     one Object a line
//	lists/<xx>/<sha256>        roots and chunks of lists, as package lists stores them, in epoch 0
//	pool/<xx>/<sha256>         package files
//
// All but manifest.json is named by its content. A writer stores it last, so a folder
// with a manifest is whole. Lists share chunks, and objects share files. A further
// export to the folder adds new content only. No secret is in a folder.
//
// A client uploads a folder into one upload directory, by the names of Names.
//
// # Stored layout
//
//	export / <id>                   the Export: where its objects are, and until when
//	calendar / export/<id>          the debt of the removal of an export: its objects
//	private/exports/<id>-<attempt>  the objects of an export, one a line
//	transferred / <kind>/<uuid>     the digest of an object as loaded, and of its row after that; goes with the object
//	waiting / <storage>:<prefix>/<dist>  a publication that was loaded and is not yet published
//
// # Files
//
//	load.go          the task of an import: packages, objects
//	plan.go          the outcome of an import for each object
//	rows.go          rows of repositories, mirrors and snapshots
//	waiting.go       loaded publications are published
//	packages.go      lists and package files from the upload directory
//	areas.go         objects of exports that no row names
//	export.go        the task of an export, and the parts that clients read
//	skeleton.go      files of operators beside the indexes
//	select.go        a part of the objects
//	object.go        the format
//	store.go         the Store
//
// References between these files run down this list, never up.
//
// # Invariants
//
//  1. An export and a waiting publication are heads for the collector. All that they
//     name stays while their rows exist.
//  2. An import checks all names before it changes anything.
//  3. The row of an object is written after its packages and its list.
//  4. An object that was changed here since its import is left alone, unless the import
//     overwrites. The transaction that writes the object decides that.
//  5. A publication is restored from the lists of its waiting row, which only the commit
//     of that restoration removes. An import that replaces the row has it refused.
//  6. A file counts after its digests were verified.
package transfer
