// Package pages has the pages for readers of a repository. They are the root page, a page
// for each publication and each published package, the search, and listings of folders.
// They say how a machine uses the repository.
//
// A page asks the API for its facts. It shows published things only: the lists of
// publications as they are committed, and public keys. Repositories, mirrors, snapshots
// and tasks are for the console.
//
// It stores nothing.
//
// Invariants:
//  1. A publication below a private prefix is shown to readers of its files only. For all
//     others its page is as that of a publication that does not exist.
//  2. A page reads at most one page of a list, so its cost does not depend on the number
//     of packages.
//  3. Every path that has a published file is answered with that file.
package pages
