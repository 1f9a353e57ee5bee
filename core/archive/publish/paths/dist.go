package paths

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Layout says where the package files of a publication are.
type Layout string

// The layouts of the pool, as clients write them.
const (
	// DebianLayout is pool/<component>/<prefix>/<source>/<file>: copies of the
	// files in the pool of all packages.
	DebianLayout Layout = "debian"
	// HashLayout is pool/sha256/<first two digits>/<SHA-256>/<file>: no copies.
	// The server of the tree finds the file by its digest (see Digest). A stanza
	// of Sources names one directory for several files, so source packages are
	// copied to pool/source/<SHA-256 of the .dsc>.
	HashLayout Layout = "hash"
)

// Dist names a distribution and says where its package files are. All keys of
// a publication follow from it.
type Dist struct {
	Storage   string // "" is the default storage
	Prefix    string // "." is the root
	Name      string // of the distribution: "trixie", "trixie/updates"
	Layout    Layout // "" is DebianLayout
	MultiDist bool   // the distribution has pool directories of its own
}

// StoragePrefix is the storage and the prefix in the keys of rows and locks: ":.".
func (d Dist) StoragePrefix() string { return d.Storage + ":" + d.Prefix }

// ID is the name of the publication in the keys of rows and locks: ":./trixie".
func (d Dist) ID() string { return d.StoragePrefix() + "/" + d.Name }

// Display is the storage and the prefix as clients write them: "." or
// "s3:eu:debian".
func (d Dist) Display() string {
	if d.Storage == "" {
		return d.Prefix
	}
	return d.StoragePrefix()
}

// DisplayOf is a name of a distribution of the same prefix as clients write it.
func (d Dist) DisplayOf(name string) string { return d.Display() + "/" + name }

// String is the publication as clients write it: "./trixie".
func (d Dist) String() string { return d.DisplayOf(d.Name) }

// StorageRoot is the key prefix of the files that are published to a named
// storage, without a slash at its end.
func StorageRoot(storage string) string { return "storage/" + storage }

// Root is the key prefix of all files of the prefix, without a slash at its end.
func (d Dist) Root() string {
	if d.Storage != "" {
		return path.Join(StorageRoot(d.Storage), d.Prefix)
	}
	return path.Join("public", d.Prefix)
}

// Tree is the key prefix of the distribution under one of its names.
func (d Dist) Tree(name string) string { return path.Join(d.Root(), "dists", name) }

// Releases are the keys that make apt see the tree of a name, in the order in
// which they are removed.
func (d Dist) Releases(name string) []string {
	dir := d.Tree(name)
	return []string{dir + "/InRelease", dir + "/Release.gpg", dir + "/Release"}
}

// Private is the key prefix of the objects that attempts stage for the
// publication.
func (d Dist) Private() string {
	sum := sha256.Sum256([]byte(d.ID()))
	return PrivatePrefix + hex.EncodeToString(sum[:16])
}

// Skeleton is the key prefix of the skeleton files of a component.
func (d Dist) Skeleton(component string) string {
	return path.Join("private/skel", d.Prefix, "dists", d.Name, component) + "/"
}

// ByHash returns the keys under which a file of a tree is found by the digests that it
// has, that of SHA-256 first. The file's name is its path below the tree.
func ByHash(tree string, f deb.File) []string {
	dir := path.Join(tree, path.Dir(f.Name), "by-hash")
	keys := []string{dir + "/SHA256/" + f.SHA256}
	for _, other := range [][2]string{{"MD5Sum", f.MD5}, {"SHA1", f.SHA1}, {"SHA512", f.SHA512}} {
		if other[1] != "" {
			keys = append(keys, dir+"/"+other[0]+"/"+other[1])
		}
	}
	return keys
}

// IsDigest reports whether a text is a SHA-256 in lower-case hexadecimal digits.
func IsDigest(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32 && strings.ToLower(s) == s
}

// Top is the first directory of a distribution or a component: "a" of "a/b".
func Top(name string) string {
	first, _, _ := strings.Cut(name, "/")
	return first
}

// Row is the key of the publication's row.
func (d Dist) Row() driver.Key { return Row(d.ID()) }

// Row is the key of the row of the publication with an ID.
func Row(id string) driver.Key { return driver.Key{Part: "publish", Sort: id} }

// InventoryPart is the partition of the inventories of package files.
const InventoryPart = "inventory"

// InventoryRow is the key of the row of the inventory of an area. No prefix has a
// component "pool", so the keys of two prefixes differ.
func (d Dist) InventoryRow(area string) driver.Key {
	return driver.Key{Part: InventoryPart, Sort: path.Join(d.StoragePrefix(), "pool", area)}
}

// OldPoolPart is the partition of the rows that earlier releases had for each published
// package file of the prefix. The sort key is the path below Root.
func (d Dist) OldPoolPart() string { return "pool/" + d.StoragePrefix() }

// Lock is the lock of the publication's row.
func (d Dist) Lock() string { return "publish/" + d.ID() }

// PoolLock is the lock of the pool directories that the distributions of a
// prefix share, the area "".
func (d Dist) PoolLock() string { return "pool/" + d.StoragePrefix() }

// AreaLock is the lock of the package files of an area. See Area.
func (d Dist) AreaLock(area string) string {
	if area == "" {
		return d.PoolLock()
	}
	return path.Join(d.PoolLock(), "pool", area)
}

// IndexLock is the lock of the first directory of a name of a distribution. No
// two tasks add a name or a component below that directory at the same time.
// For example, trixie and trixie/updates have one lock.
func (d Dist) IndexLock(name string) string { return "dists/" + d.StoragePrefix() + "/" + Top(name) }
