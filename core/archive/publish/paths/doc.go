// Package paths owns every key of a publication: of its objects, its rows and
// its locks. All functions are pure. The package reads no row and no object.
//
// Objects of a distribution below <storage>:<prefix>; <root> is
// public/<prefix>, or storage/<storage>/<prefix> for a named storage:
//
//	<root>/dists/<dist>/...                    indexes, Release and its signatures
//	<root>/dists/<dist>/<dir>/by-hash/<algorithm>/<digest>  the same files by digest
//	<root>/dists/<alias>/...                   the same indexes under another name
//	<root>/pool/<component>/...                package files, layout debian
//	<root>/pool/<dist>/<component>/...         package files, layout debian with MultiDist
//	<root>/pool/source/<SHA-256 of the .dsc>/  source packages, layout hash
//	private/publish/<id>/<task>-<attempt>/     objects that an attempt stages for no reader
//	private/ahead/<epoch>-<root of a list>/    indexes that were rendered ahead
//	private/skel/<prefix>/dists/<dist>/<component>/...  skeleton files of operators
//
// Rows:
//
//	publish / <storage>:<prefix>/<dist>        the publication
//	ref/<kind>/<uuid> / publish/<id>           a source that the publication refers to
//	inventory / <storage>:<prefix>/pool[/<area>]  the package files of an area
//
// Invariants:
//
//  1. Two distributions of one prefix have no object in common outside pool/.
//  2. The area of a package file follows from its path alone.
//  3. A key of a component, a distribution and a file name that pass Check is
//     below <root>.
package paths
