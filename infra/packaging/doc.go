// Command packaging makes the files of a release in a folder: programs, Debian packages, a
// container image, lists of components (SBOM) and checksums. It also publishes the Debian
// packages in a repository that aptless itself makes.
//
//	go run . -version 0.1.0 -out ../../dist
//
// The folder after a run, with <arch> amd64 and arm64:
//
//	aptless-linux-<arch>                      the program, static
//	aptless-linux-<arch>.cdx.json             its components, CycloneDX
//	aptless_<version>_<arch>.deb              the program, its unit, user and settings
//	aptless-<version>.oci.tar                 the image for all architectures, an OCI layout
//	apt/                                      the tree of the repository with the .deb files
//	provenance.json                           their sources and tools: in-toto, SLSA
//	SHA256SUMS                                checksums of all files but the tree
//	SHA256SUMS.asc                            their signature, by the key in APTLESS_RELEASE_KEY
//
// Invariants:
//
//  1. Two runs on equal sources with one SOURCE_DATE_EPOCH make equal files. Only the
//     signatures and dates of apt/ differ. TestReleaseIsReproducible holds it.
//  2. Nothing of the machine is in a file: no path, no user, no time, no certificate.
//  3. The module of this folder has the libraries of the release. The module of the
//     product does not need them.
//
// Files, each of which calls only the ones after it: main.go, repository.go, image.go,
// deb.go, program.go, tar.go, provenance.go, sums.go, sign.go.
package main
