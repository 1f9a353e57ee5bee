// Command torture lets clients write to a server with aptly's API at the same time, and reads
// its published tree. It kills the server and starts it again. Then it counts the damage:
//
//   - packages that an answer had promised and that are gone;
//
//   - indexes that do not belong together, and package files that are missing;
//
//   - refused requests;
//
//   - starts after which a publication stays unreadable.
//
//     go run ./tests/torture -kills 20
//     go run ./tests/torture -server 'mine=/opt/aptly api serve -listen {addr} -config {root}.conf'
//
// The server gets a folder, {root}, and publishes below {root}/public. Beside it are {root}.conf, a
// configuration of aptly, and {root}.gnupg, the home of GnuPG with the key. Readers take the
// files from the folder, like a web server that runs on while the server is down.
//
// Files: main.go has the flags and the table, torture.go one run, writer.go and reader.go the
// clients, server.go the process and its requests.
package main
