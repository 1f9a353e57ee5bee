// Package console has the pages for operators, below /-/: a status, all objects of a
// server, and forms that change them. It speaks with one server by its API, which may be
// in the same process or elsewhere, an aptless or an aptly.
//
// It stores nothing. Sessions are in memory: an ID in a cookie, and the token by which
// the session asks the API. They end with the process.
//
// Invariants:
//  1. The API decides on every request, by the token of the session. A token that was
//     revoked shows and changes nothing from then on. The pages offer only the actions
//     that the grants allow.
//  2. A request that changes something comes from a form of this session and of this
//     origin, or is refused.
//  3. A change of a publication is previewed by the server's dry run. The confirmation
//     has the generation that the preview began from.
//  4. A page reads one page of each list that it shows.
package console
