package auth

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
)

// Private says which published files need a token with tree.read.
type Private struct {
	Private []string // prefixes as [storage:]prefix; "." is the root of the default storage
	Digests string   // paths by digest: "needed" while anything is private, or "public"
	Version string   // of the row; "" if nothing was ever set
}

// Values of Private.Digests.
const (
	digestsNeeded = "needed"
	DigestsPublic = "public"
)

// Limits of private prefixes. A value of CloudFront's key value store has 1,024
// characters.
const (
	maxPrivate     = 50
	maxPrivateJSON = 900 // bytes
)

// Places returns the names of the prefixes that a path of published files may be below.
// Each is the path itself: with its storage, and without the way that leads to it. The
// path is decoded and has no slash at its beginning.
func Places(file string) []string {
	file = strings.Join(slices.DeleteFunc(strings.Split(file, "/"), func(part string) bool { return part == "" }), "/")
	found := []string{file}
	if rest, ok := strings.CutPrefix(file, "repos/"); ok {
		storage, below, _ := strings.Cut(rest, "/")
		if storage == "-" {
			return append(found, Places(below)...)
		}
		return append(found, "filesystem:"+storage+":"+below)
	}
	if rest, ok := strings.CutPrefix(file, "snapshots/"); ok {
		if _, below, ok := strings.Cut(rest, "/"); ok {
			return append(found, Places(below)...)
		}
	}
	return found
}

// covers reports whether a place is at or below a private prefix.
func covers(entry, place string) bool {
	if root, ok := strings.CutSuffix(entry, "."); ok && (root == "" || strings.HasSuffix(root, ":")) {
		first, _, _ := strings.Cut(place, "/") // a name below it may have a colon
		return root == "" && !strings.Contains(first, ":") || root != "" && strings.HasPrefix(place, root)
	}
	return place == entry || strings.HasPrefix(place, entry+"/")
}

// Of returns the private prefixes that a place is at or below: the longest one, which
// decides. It returns "" for a public place.
func (a Private) Of(place string) string {
	longest := ""
	for _, entry := range a.Private {
		if covers(entry, place) && len(entry) > len(longest) {
			longest = entry
		}
	}
	return longest
}

// Needs returns the needs of a path of published files. byDigest says that the path has
// the digest of a package file, which may be one of any prefix.
func (a Private) Needs(file string, byDigest bool) []Need {
	var needs []Need
	for _, place := range slices.Concat(Places(file), Places(path.Clean("/" + file)[1:])) {
		if entry := a.Of(place); entry != "" && !slices.Contains(needs, Need{Can: TreeRead, Name: entry}) {
			needs = append(needs, Need{Can: TreeRead, Name: entry})
		}
	}
	if byDigest && len(a.Private) > 0 && a.Digests != DigestsPublic {
		needs = append(needs, Need{Can: TreeRead, Name: All})
	}
	return needs
}

// Readable reports whether a principal may read the files of a prefix.
func (a Private) Readable(p *Principal, storage, prefix string) bool {
	entry := a.Of(Prefix(storage, prefix))
	return entry == "" || Decide(p, Need{Can: TreeRead, Name: entry}) == nil
}

// check sets the defaults, and refuses prefixes that no publication has. canonical
// returns the only form of a prefix.
func (a *Private) check(canonical func(string) string) error {
	if a.Digests == "" {
		a.Digests = digestsNeeded
	}
	if a.Digests != digestsNeeded && a.Digests != DigestsPublic {
		return badRequest("Digests is needed or public")
	}
	slices.Sort(a.Private)
	a.Private = slices.Compact(a.Private)
	for _, entry := range a.Private {
		if entry == "" || canonical(entry) != entry || strings.Contains(entry, "//") || strings.ContainsAny(entry, "*%\\") {
			return badRequest("invalid prefix %.200q: it is written as %.200q", entry, canonical(entry))
		}
	}
	data, err := json.Marshal(a.Private)
	if err == nil && (len(a.Private) > maxPrivate || len(data) > maxPrivateJSON) {
		err = badRequest("there are at most %d private prefixes, of %d bytes together", maxPrivate, maxPrivateJSON)
	}
	return err
}
