package auth

import (
	"fmt"
	"slices"
	"strings"
)

// Permission is one thing that can be allowed, as "repo.import".
type Permission string

// The permissions. The permissions up to tree.read are good for names.
const (
	RepoRead       Permission = "repo.read"
	RepoInclude    Permission = "repo.include"
	RepoImport     Permission = "repo.import"
	RepoWrite      Permission = "repo.write"
	RepoManage     Permission = "repo.manage"
	MirrorRead     Permission = "mirror.read"
	MirrorUpdate   Permission = "mirror.update"
	MirrorManage   Permission = "mirror.manage"
	SnapshotRead   Permission = "snapshot.read"
	SnapshotCreate Permission = "snapshot.create"
	SnapshotManage Permission = "snapshot.manage"
	PublishRead    Permission = "publish.read"
	PublishUpdate  Permission = "publish.update"
	PublishManage  Permission = "publish.manage"
	FilesWrite     Permission = "files.write"
	FilesManage    Permission = "files.manage"
	TreeRead       Permission = "tree.read"
	PackagesRead   Permission = "packages.read"
	GPGRead        Permission = "gpg.read"
	GPGManage      Permission = "gpg.manage"
	TasksRead      Permission = "tasks.read"
	TasksManage    Permission = "tasks.manage"
	DBManage       Permission = "db.manage"
	MetricsRead    Permission = "metrics.read"
	AuditRead      Permission = "audit.read"
	AuthManage     Permission = "auth.manage"
)

// Permissions returns the closed set of permissions.
func Permissions() []Permission {
	return []Permission{RepoRead, RepoInclude, RepoImport, RepoWrite, RepoManage, MirrorRead, MirrorUpdate, MirrorManage,
		SnapshotRead, SnapshotCreate, SnapshotManage, PublishRead, PublishUpdate, PublishManage, FilesWrite, FilesManage, TreeRead,
		PackagesRead, GPGRead, GPGManage, TasksRead, TasksManage, DBManage, MetricsRead, AuditRead, AuthManage}
}

// kind returns the part before the dot.
func (p Permission) kind() string {
	kind, _, _ := strings.Cut(string(p), ".")
	return kind
}

// Named reports whether a permission is good for names.
func (p Permission) Named() bool {
	switch p.kind() {
	case "repo", "mirror", "snapshot", "publish", "files", "tree":
		return true
	}
	return false
}

// implies reports whether a holder of p may do q, on the same name.
func (p Permission) implies(q Permission) bool {
	const manage = ".manage"
	n := len(p) - len(manage) // bytes of the kind
	return p == q || n > 0 && len(q) > n && q[n] == '.' && p[n:] == manage && p[:n] == q[:n]
}

// Role is a name for a set of permissions.
type Role string

// The roles.
const (
	Reader     Role = "reader"
	Uploader   Role = "uploader"
	Publisher  Role = "publisher"
	Maintainer Role = "maintainer"
	Admin      Role = "admin"
	Downloader Role = "downloader"
)

// roles are the permissions of each role. A permission without names counts only in a
// grant without lists.
var roles = map[Role][]Permission{
	Reader:   {RepoRead, MirrorRead, SnapshotRead, PublishRead, TreeRead, PackagesRead, GPGRead},
	Uploader: {RepoRead, RepoInclude, RepoImport, FilesWrite},
	Publisher: {RepoRead, RepoInclude, RepoImport, FilesWrite, RepoWrite, SnapshotRead, SnapshotCreate, MirrorRead,
		PublishRead, PublishUpdate, PackagesRead},
	Maintainer: {RepoManage, MirrorManage, SnapshotManage, PublishManage, FilesManage, TreeRead, PackagesRead, MetricsRead,
		GPGManage, TasksManage, DBManage},
	Admin: {RepoManage, MirrorManage, SnapshotManage, PublishManage, FilesManage, TreeRead, PackagesRead, GPGManage,
		TasksManage, DBManage, MetricsRead, AuditRead, AuthManage},
	Downloader: {TreeRead},
}

// Grant is a role or a list of permissions, and the patterns of the names that
// they are good for. A list that is nil is absent. A grant without any list is
// good for all names and for the kinds without names. With a list it is good for
// the names that the lists match, and for no kind without names.
type Grant struct {
	Role Role         `json:",omitempty"`
	Can  []Permission `json:",omitempty"`

	Repos     []string `json:",omitzero"`
	Mirrors   []string `json:",omitzero"`
	Snapshots []string `json:",omitzero"`
	Publish   []string `json:",omitzero"` // [storage:]prefix//distribution; without // for all distributions
	Files     []string `json:",omitzero"` // upload directories
	Tree      []string `json:",omitzero"` // [storage:]prefix
}

// Limits of grants.
const (
	MaxGrants   = 16  // of a principal
	maxPatterns = 64  // of all grants of a principal
	maxPattern  = 200 // bytes
	maxStars    = 8   // of a pattern
)

// lists returns the lists of a grant.
func (g *Grant) lists() [6][]string {
	return [6][]string{g.Repos, g.Mirrors, g.Snapshots, g.Publish, g.Files, g.Tree}
}

// limited reports whether the grant has a list.
func (g *Grant) limited() bool {
	return g.Repos != nil || g.Mirrors != nil || g.Snapshots != nil || g.Publish != nil || g.Files != nil || g.Tree != nil
}

// list returns the patterns for the names of a permission.
func (g *Grant) list(p Permission) []string {
	switch p.kind() {
	case "repo":
		return g.Repos
	case "mirror":
		return g.Mirrors
	case "snapshot":
		return g.Snapshots
	case "publish":
		return g.Publish
	case "files":
		return g.Files
	case "tree":
		return g.Tree
	}
	return nil
}

// permissions returns the permissions of a grant, on the names it is good for.
func (g *Grant) permissions() []Permission {
	if g.Role != "" {
		return roles[g.Role]
	}
	return g.Can
}

// holds reports whether the grant has a permission on some name.
func (g *Grant) holds(p Permission) bool {
	for _, held := range g.permissions() {
		if held.implies(p) {
			return true
		}
	}
	return false
}

// check refuses a grant that contradicts itself, has unknown words or exceeds a limit.
func (g *Grant) check() error {
	switch {
	case g.Role == "" && len(g.Can) == 0:
		return fmt.Errorf("a grant needs a Role or permissions in Can")
	case g.Role != "" && g.Can != nil:
		return fmt.Errorf("a grant has a Role or Can, not both")
	case g.Role != "" && roles[g.Role] == nil:
		return fmt.Errorf("role %.50q is not known: reader, uploader, publisher, maintainer, admin or downloader", g.Role)
	case g.Role == Admin && g.limited():
		return fmt.Errorf("admin has no limits")
	}
	for _, p := range g.Can {
		if !slices.Contains(Permissions(), p) {
			return fmt.Errorf("permission %.50q is not known", p)
		}
	}
	for _, list := range g.lists() {
		for _, pattern := range list {
			if err := checkPattern(pattern); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkPattern(pattern string) error {
	if pattern == "" || len(pattern) > maxPattern {
		return fmt.Errorf("a pattern has 1 to %d bytes: %.50q", maxPattern, pattern)
	}
	if strings.Count(pattern, "*") > maxStars {
		return fmt.Errorf("a pattern has at most %d stars: %.50q", maxStars, pattern)
	}
	return nil
}

// CheckGrants refuses grants that are invalid, or that a token of the kind cannot have.
func CheckGrants(kind Kind, grants []Grant) error {
	if len(grants) == 0 || len(grants) > MaxGrants {
		return fmt.Errorf("a token has 1 to %d Grants", MaxGrants)
	}
	patterns := 0
	for i := range grants {
		g := &grants[i]
		if err := g.check(); err != nil {
			return err
		}
		for _, list := range g.lists() {
			patterns += len(list)
		}
		reads := g.Role == Downloader || slices.Equal(g.Can, []Permission{TreeRead})
		if (kind == Download) != reads && (kind == Download || g.Role == Downloader) {
			return fmt.Errorf("downloader is the role of download tokens, and their only one")
		}
	}
	if patterns > maxPatterns {
		return fmt.Errorf("all grants of a token have at most %d patterns", maxPatterns)
	}
	return nil
}
