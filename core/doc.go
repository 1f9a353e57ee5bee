// Package core is the map of the packages below it; it has no code. No package of core
// knows of AWS, of a listener or of a file system: infra and functions do.
//
// # Four storeys
//
//   - formats: Debian's and other file formats; no storage
//   - engine: storage ports, lists, locks, tasks; no Debian
//   - archive: packages, repositories, mirrors, snapshots, publications
//   - front: the HTTP API, and the composition of everything
//
// A package imports lower storeys freely and upper storeys never.
//
// Package client stands beside the storeys. It speaks with a server and imports nothing
// of core. In core only pages import it, which ask the API.
//
// # The packages
//
//   - formats/deb: control files, versions, relations, packages; .deb, .dsc, .changes
//   - formats/pgp: keys, signatures, verification, key lint
//   - formats/members: bzip2, xz and zstd files that are joined from pieces
//   - formats/openapi: a description of an HTTP API, by the types of its bodies
//   - formats/graphviz: graphs in the language of Graphviz
//   - engine/driver: the ports Blobs, Table, Queue, Direct and Edge
//   - engine/parallel: workers, and the budget of memory
//   - engine/lists: immutable lists in chunks that are named by their content
//   - engine/lock: queues of tasks for resources, and transactions
//   - engine/calendar: rows with a due time
//   - engine/task: admission, attempts, checkpoints, commit, debts, undo, retention
//   - engine/gc: the collector, a concurrent mark and sweep
//   - engine/named: rows with a UUID, a unique name and references
//   - archive/source: repositories, mirrors and snapshots as seen by other packages
//   - archive/pkglist: lists of packages in the order of indexes
//   - archive/query: aptly's query language, and dependencies
//   - archive/pool: package files by digest, package records
//   - archive/upload: the area that clients upload into
//   - archive/origin: the imports by which files came into repositories
//   - archive/keyring: named rings of trusted keys
//   - archive/upstream: Release files, indexes and files of other servers
//   - archive/repo: local repositories, imports, inclusions of .changes
//   - archive/mirror: mirrors, their updates and schedules
//   - archive/snapshot: snapshots: create, merge, pull, filter, diff, verify
//   - archive/publish: publications and the protocol: plan, stage, commit, apply
//   - archive/fsck: the check of the whole storage
//   - archive/deliver: files that are imported and published in one task
//   - archive/drop: files that clients put into the storage, and that are imported then
//   - archive/transfer: export and import of all objects, and the format between them
//   - archive/publish/paths: every key of a publication, as pure functions
//   - archive/publish/index: index files, staged under their digests
//   - archive/publish/files: package files below a published tree
//   - archive/publish/tree: the manifest, and the public tree that follows it
//   - front/auth: tokens, grants, and the decision whether a caller has a permission
//   - front/auth/oidc: ID tokens of CI jobs, and the keys of their issuers
//   - front/audit: records of changes and refusals, as chains
//   - front/api: routes, requests, answers and errors
//   - front/layout: the frame, styles, scripts and headers of pages
//   - front/pages: the pages for readers of a repository
//   - front/console: the pages for operators, of any server
//   - front/app: composition: drivers and a Config in; handler, worker and tick out
//   - client: a typed client of the API, for programs that are no server
//
// A package whose name ends in "test" has the helpers for tests of the package above
// it. drivertest has the suite of all drivers, faults and outages. apptest has a whole
// process.
//
// # Imports
//
// The table has a row for each package with its grants: packages of its own storey,
// modules, and guarded parts of the standard library. The guarded parts reach the
// network, files, processes or unsafe memory. The rest of the standard library is free.
//
// deps_test.go reads the table from this comment. It fails on an import without a grant
// and on a grant that is not used. It also fails on a package without a row and on a
// row without a package. Tests may import anything.
//
//	client                         net/http
//	formats/deb                    github.com/klauspost/compress github.com/mikelolasagasti/xz github.com/ulikunitz/xz
//	formats/deb/debtest            github.com/klauspost/compress github.com/ulikunitz/xz
//	formats/pgp                    github.com/ProtonMail/go-crypto
//	formats/members                github.com/klauspost/compress github.com/ulikunitz/xz
//	formats/members/memberstest    github.com/klauspost/compress github.com/mikelolasagasti/xz
//	formats/openapi
//	formats/graphviz
//	engine/driver
//	engine/driver/drivertest       engine/driver engine/parallel github.com/anishathalye/porcupine
//	engine/parallel                golang.org/x/sync
//	engine/lists                   engine/driver engine/parallel github.com/klauspost/compress
//	engine/lock                    engine/driver
//	engine/calendar                engine/driver
//	engine/task                    engine/calendar engine/driver engine/lock engine/parallel
//	engine/gc                      engine/driver engine/lists engine/lock engine/parallel engine/task
//	engine/named                   engine/driver engine/lock engine/task
//	archive/source
//	archive/pkglist
//	archive/query                  archive/pkglist
//	archive/pool                   github.com/klauspost/compress
//	archive/upload                 archive/pool
//	archive/keyring
//	archive/upstream
//	archive/upstream/upstreamtest  archive/upstream net/http github.com/dsnet/compress github.com/klauspost/compress github.com/ulikunitz/xz
//	archive/origin                 archive/pool
//	archive/repo                   archive/origin archive/pkglist archive/pool archive/query archive/source archive/upload
//	archive/mirror                 archive/pkglist archive/pool archive/query archive/source archive/upstream
//	archive/snapshot               archive/pkglist archive/pool archive/query archive/source
//	archive/publish/paths
//	archive/publish/index          archive/publish/paths archive/pkglist github.com/klauspost/compress
//	archive/publish/files          archive/publish/paths archive/publish/index archive/pkglist archive/pool
//	archive/publish/tree           archive/publish/paths archive/publish/index archive/publish/files
//	archive/publish                archive/publish/paths archive/publish/index archive/publish/files archive/publish/tree archive/pkglist archive/pool archive/source
//	archive/deliver                archive/publish archive/repo archive/source archive/upload
//	archive/drop                   archive/deliver archive/publish archive/repo archive/upload
//	archive/transfer               archive/keyring archive/mirror archive/pkglist archive/pool archive/publish archive/publish/paths archive/repo archive/snapshot archive/source archive/upload archive/upstream
//	archive/transfer/transfertest  archive/transfer archive/pkglist archive/publish archive/repo archive/snapshot
//	archive/fsck                   archive/pkglist archive/pool archive/publish
//	front/auth                     front/auth/oidc net/http
//	front/auth/oidc                github.com/go-jose/go-jose/v4
//	front/auth/oidc/oidctest       github.com/go-jose/go-jose/v4
//	front/audit
//	front/api                      front/audit front/auth net/http github.com/prometheus/client_golang
//	front/layout                   net/http
//	front/pages                    client front/layout net/http
//	front/console                  client front/auth front/layout net/http
//	front/app                      client front/pages front/api front/audit front/auth front/auth/oidc net/http github.com/prometheus/client_golang
//	front/app/apptest              front/app front/auth net/http aptless/infra/embedded
//
// # Laws
//
// Nothing below core imports infra, functions or an AWS SDK; a package for tests
// may import infra, as tests may. Packages of the archive never import the
// front. repo, snapshot and mirror never import each other. Code that only tests
// need is in a package whose name ends in "test", and tests alone import it. No package has an init function or state of its
// own: a package-level variable is a sentinel error, a compiled pattern or a
// table. The doc.go of a package names the things that the package owns. The files of a
// package have an order in which no file refers to one above it.
package core
