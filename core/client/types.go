package client

import (
	"encoding/json"
	"time"
)

// The types have the fields of aptly's API, and further ones of aptless.

// Version is the answer of GET /api/version.
type Version struct{ Version string }

// Repo is a local repository.
type Repo struct {
	Name, Comment, DefaultDistribution, DefaultComponent string
	NumPackages                                          int `json:",omitempty"` // of a listing by aptless
}

// RepoSettings creates a repository.
type RepoSettings struct {
	Name                                                         string
	Comment, DefaultDistribution, DefaultComponent, FromSnapshot string `json:",omitempty"`
}

// RepoEdit changes a repository. A nil field keeps its value.
type RepoEdit struct {
	Name, Comment, DefaultDistribution, DefaultComponent *string `json:",omitempty"`
}

// Report is the result of an import or a copy.
type Report struct {
	FailedFiles []string
	Report      struct{ Warnings, Added, Removed []string }
}

// Mirror is a mirror of another archive.
type Mirror struct {
	Name, ArchiveRoot, Distribution  string
	Components, Architectures        []string
	Meta                             map[string]string
	LastDownloadDate                 time.Time
	Filter                           string
	Status                           int // 1 during an update
	FilterWithDeps, DownloadSources  bool
	DownloadUdebs, DownloadInstaller bool
	DownloadAppStream                bool
	Partial                          bool
	Schedule                         string
	NumPackages                      int // of a listing by aptless
}

// MirrorSettings creates or edits a mirror. A nil or absent field keeps its value, or
// has the server's default.
type MirrorSettings struct {
	Name, ArchiveURL, Distribution                      string   `json:",omitempty"`
	Filter                                              *string  `json:",omitempty"`
	Components, Architectures, Keyrings                 []string `json:",omitempty"`
	DownloadSources, DownloadUdebs, DownloadInstaller   *bool    `json:",omitempty"`
	DownloadAppStream, FilterWithDeps, IgnoreSignatures *bool    `json:",omitempty"`
	SkipComponentCheck, SkipArchitectureCheck           bool     `json:",omitempty"`
	Schedule                                            *string  `json:",omitempty"`
	DownloadTranslations, Strict                        *bool    `json:",omitempty"`
}

// MirrorUpdate is the body of an update or a change of the name.
type MirrorUpdate struct {
	Name                                     string   `json:",omitempty"`
	Keyrings                                 []string `json:",omitempty"`
	IgnoreChecksums, LatestOnly, ForceUpdate bool     `json:",omitempty"`
	IgnoreSignatures                         *bool    `json:",omitempty"`
	SkipExistingPackages                     bool     `json:",omitempty"`
}

// Snapshot is an immutable list of packages.
type Snapshot struct {
	Name        string
	CreatedAt   time.Time
	SourceKind  string
	Description string
	Origin      string
	NumPackages int // of a listing by aptless
}

// SnapshotSettings creates a snapshot.
type SnapshotSettings struct {
	Name                         string
	Description                  string   `json:",omitempty"`
	SourceSnapshots, PackageRefs []string `json:",omitempty"`
}

// Difference is a package of a comparison; a side without it is nil. Component is that of
// a publication, else "".
type Difference struct {
	Left, Right *string
	Component   string
}

// Pull is the body of a pull.
type Pull struct {
	Source, Destination string
	Queries             []string
	Architectures       []string `json:",omitempty"`
}

// Source is a component and the name of its repository or snapshot.
type Source struct{ Component, Name string }

// Publication is a published distribution.
type Publication struct {
	Architectures                               []string
	Codename, Distribution, Label, Origin, Path string
	Prefix, SourceKind, Storage, Suite, Version string
	NotAutomatic, ButAutomaticUpgrades          string
	AcquireByHash, SkipContents, MultiDist      bool
	Sources                                     []Source
	ValidFor, PoolLayout                        string
	Aliases                                     []string
}

// Signing selects the signing of a publication. The keys are the server's.
type Signing struct {
	Skip   bool   `json:",omitempty"`
	GpgKey string `json:",omitempty"`
}

// Publishing creates a publication, or is the body of an update or a switch. A nil field
// keeps its value, or has the server's default.
type Publishing struct {
	SourceKind                              string    `json:",omitempty"`
	Sources, Snapshots                      []Source  `json:",omitempty"`
	Distribution                            string    `json:",omitempty"`
	Architectures                           []string  `json:",omitempty"`
	Label, Origin, Version, Suite, Codename *string   `json:",omitempty"`
	NotAutomatic, ButAutomaticUpgrades      string    `json:",omitempty"`
	ForceOverwrite                          bool      `json:",omitempty"`
	SkipContents, SkipBz2, SkipCleanup      *bool     `json:",omitempty"`
	AcquireByHash, MultiDist                *bool     `json:",omitempty"`
	SignedBy, ValidFor                      *string   `json:",omitempty"`
	PoolLayout                              string    `json:",omitempty"`
	Aliases                                 *[]string `json:",omitempty"`
	Signing                                 Signing
}

// Rollback is the body of a rollback.
type Rollback struct {
	Generation     int64
	ForceOverwrite bool `json:",omitempty"`
	Signing        Signing
}

// Revision is a former state of a publication.
type Revision struct {
	Generation int64
	Date       time.Time
	Sources    []Source
	Current    bool
	Added      *int // packages; nil for the oldest one
	Removed    *int
}

// Task is a task of the server. The fields from Kind on are those of format=details.
type Task struct {
	Name                       string
	ID                         int64
	State                      int
	Resources, Warnings        []string
	Kind, Error                string
	Output                     int
	Created, Started, Finished string // RFC 3339; "" for a time that has not come
}

// TaskValue is the result of an ended task.
type TaskValue struct {
	Code  int
	Value json.RawMessage
}

// File is a file with its digests.
type File struct {
	Name                      string
	Size                      int64
	MD5, SHA1, SHA256, SHA512 string
}

// Files are the files of a package.
type Files struct {
	Files      []File
	Published  []PublishedFile
	Paths      []string
	Unreadable string
	Truncated  bool
}

// PublishedFile is the place of a package's file in a publication. URL is "" for a storage
// whose address the server does not know.
type PublishedFile struct{ Distribution, Prefix, Storage, Component, Path, URL string }

// References are the objects whose list has a package.
type References struct {
	Repos, Mirrors, Snapshots []string
	Publications              []struct {
		Path       string
		Components []string
	}
}

// SigningKey is a public key by which publications are signed.
type SigningKey struct {
	Fingerprint, Algorithm string
	UserIDs                []string
	Created, Expires       string
	Problems               []struct {
		Code  string
		Fatal bool
		Text  string
	}
}

// Status is the answer of GET /api/status.
type Status struct {
	Now                                     time.Time
	Repos, Mirrors, Snapshots, Publications int
	Tasks                                   struct {
		Idle, Running, Failed int
		Oldest                string
	}
	NeverUpdated, Partial, Owed []string
	Expiring                    []struct {
		Path string
		At   time.Time
	}
	Warnings    []string
	Free, Total uint64
}

// TrustedKeys are the keys of a ring of the server.
type TrustedKeys struct {
	Keys []struct {
		Fingerprint, KeyID, Validity string
		UserIDs                      []string
	}
}

// Unneeded counts things that a cleanup deletes.
type Unneeded struct {
	Area   string
	Number int
	Bytes  int64
}

// Preview counts the packages of a snapshot that a dry run does not make.
type Preview struct{ Packages, Kept int }

// Check is the report on a storage.
type Check struct {
	Sound, Deep bool
	Checked     map[string]int
	Findings    []struct {
		Kind, Object, Of, Detail string
		Repaired                 bool
	}
	Number       map[string]int
	Repaired     int
	Unreferenced struct {
		Records, Files int
		Bytes          int64
	}
}
