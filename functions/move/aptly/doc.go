// Package aptly reads the root folder of an aptly, and makes a transfer folder of it. It
// only reads the root, also while aptly runs: it works on a copy of the database.
//
//	convert.go    objects and their lists, as the transfer format has them
//	skeleton.go   files of operators beside the indexes
//	settings.go   options, the report, aptly.conf and trusted keys
//	packages.go   packages and their files
//	records.go    the records of aptly's database
//	database.go   the database: a copy of LevelDB
//	msgpack.go    the values of the database
//
// References between these files run down this list, never up.
//
// # Sources
//
// The layout is that of aptly 1.5.0, read from roots that it made. Older forms are read
// too: packages in one record (before 0.4), and a publication with one source (before
// 0.6). So are a pool by MD5 (before 1.1) and three forms of time.
//
// # Invariants
//
//  1. Nothing below the root is written.
//  2. A package whose record or file is damaged is left out of all lists and named. The
//     rest moves.
//  3. Everything that is read is bounded in size, number and depth.
//  4. Objects keep their UUIDs, so a repeated conversion gives the same objects.
package aptly
