// Package core is the map of what is below it; it holds no code. Nothing here
// knows of AWS, of a listener or of a file system: that is what infra and
// functions are for.
//
// # What may import what
//
// The table says for each package which other packages of core it may import,
// which modules, and which of the guarded parts of the standard library
// (anything that reaches the network, files, processes or unsafe memory). The rest of
// the standard library is free. deps_test.go reads the table from this comment
// and fails on an import it does not allow, on a package it does not list and
// on a row that no package fills. Tests may import what they like.
//
//	deb                github.com/klauspost/compress github.com/mikelolasagasti/xz
//	deb/debtest        github.com/klauspost/compress
//	pgp                github.com/ProtonMail/go-crypto
//	driver
//	driver/drivertest  driver github.com/anishathalye/porcupine pgregory.net/rapid
//	chunks             driver github.com/klauspost/compress
//	pkglist            chunks deb driver
//	packing            github.com/dsnet/compress github.com/klauspost/compress github.com/ulikunitz/xz
//	packing/packingtest  github.com/klauspost/compress github.com/mikelolasagasti/xz
//	query              deb pkglist
//	lock               driver
//	epoch              chunks driver
//	task               driver epoch lock
//	pool               deb driver epoch github.com/klauspost/compress
//	keyring            driver pgp
//	openapi
//	upstream           deb pgp
//	upstream/upstreamtest  deb deb/debtest pgp upstream net/http github.com/dsnet/compress github.com/klauspost/compress github.com/ulikunitz/xz
//	graph
//	cleanup            chunks driver epoch lock pkglist pool task
//	repo               chunks deb driver epoch lock pgp pkglist pool query task
//	mirror             chunks deb driver epoch lock pgp pkglist pool query task upstream
//	snapshot           chunks deb driver epoch lock pkglist pool query task
//	publish            chunks deb driver epoch lock packing pgp pkglist task github.com/klauspost/compress
//	api                cleanup deb driver graph keyring mirror openapi pkglist pool publish query repo snapshot task net/http github.com/prometheus/client_golang
//	app                api chunks cleanup driver epoch graph keyring mirror pgp pkglist pool publish query repo snapshot task upstream net/http github.com/prometheus/client_golang
//
// # Laws
//
// Nothing below core imports infra, functions or an AWS SDK. No domain package
// imports api. repo, snapshot and mirror never import each other. What only
// tests need is in a package whose name ends in "test" and is imported by
// tests alone. No package has an init function or state of its own: a
// package-level variable is a sentinel error, a compiled pattern or a table.
// What a package owns stands in its doc.go.
package core
