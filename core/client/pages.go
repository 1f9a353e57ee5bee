package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Identity is the principal of the credentials, with its grants.
type Identity struct {
	Kind, ID, Name, Owner string
	Expires               time.Time
	Grants                json.RawMessage // as the API has them
}

// ShowIdentity asks for the principal of the credentials, with its grants.
func ShowIdentity() Call[Identity] { return get[Identity](at("auth", "whoami")) }

// AccessToken is a token of the server, without its secret.
type AccessToken struct {
	ID, Kind, Name, Owner, By string
	Grants                    json.RawMessage
	Created, Expires, Revoked time.Time
	LastUsed                  struct {
		At   time.Time
		From string
	}
	Token string // the secret, in the answer to a creation only
}

// ListAccessTokens asks for the tokens of the server.
func ListAccessTokens() Call[[]AccessToken] { return get[[]AccessToken](at("auth", "tokens")) }

// NewToken is the body of the creation of a token.
type NewToken struct {
	Name, Owner, Kind, Expires string `json:",omitempty"`
	Grants                     json.RawMessage
}

// CreateAccessToken makes a token. The answer has its secret.
func CreateAccessToken(n NewToken) Call[AccessToken] {
	return Call[AccessToken]{Method: "POST", Path: at("auth", "tokens"), Body: n}
}

// ShowAccessToken asks for a token by its ID; the secret is never shown.
func ShowAccessToken(id string) Call[AccessToken] { return get[AccessToken](at("auth", "tokens", id)) }

// RevokeAccessToken ends a token.
func RevokeAccessToken(id string) Call[Nothing] {
	return Call[Nothing]{Method: "DELETE", Path: at("auth", "tokens", id), Safe: true}
}

// AuditRecord is a record of a change or a refusal.
type AuditRecord struct {
	ID, Event, From, Method, Path, Error string
	Time                                 time.Time
	By                                   struct{ Kind, ID, Name, Owner string }
	Needs                                []string
	Task                                 int64
	Status                               int
}

// AuditPage is a part of the records, in ascending order.
type AuditPage struct {
	Records []AuditRecord
	Next    string
}

// ListAudit asks for records.
func ListAudit() Call[AuditPage] { return get[AuditPage](at("audit")) }

// Origin is an import by which a file came into a repository.
type Origin struct {
	Package, Repo string
	Task          int64
	At            time.Time
	By            struct{ Kind, ID, Name, Owner string }
	Signers       []string
}

// ListOrigins asks for the imports of a package.
func ListOrigins(key string) Call[[]Origin] { return get[[]Origin](at("packages", key, "origins")) }

// PackagePlan has the changes that a task would make in a component.
type PackagePlan struct {
	Component, Source          string
	Added, Removed             []string
	AddedNumber, RemovedNumber int
}

// Plan has the changes that a task would make in a publication.
type Plan struct {
	Generation              int64
	Components              []PackagePlan
	Objects, RemovedObjects int
	Bytes, RemovedBytes     int64
}

// Planned returns the dry run of a call that changes a publication: it answers with the
// plan, and changes nothing. An aptly has no dry runs: it would run the call.
func Planned[T any](c Call[T]) Call[Plan] {
	return Call[Plan]{Method: c.Method, Path: c.Path, Query: c.Query, Body: c.Body}.With("dryRun", "1")
}

// Seen returns a call with the generation that its user has seen. The server refuses it
// with 409 if the publication has another one by now. 0 is any.
func Seen[T any](c Call[T], generation string) Call[T] {
	if generation == "0" {
		return c
	}
	return c.With("ifGeneration", generation)
}

// DiffRepos compares two repositories. aptly has no such call.
func DiffRepos(left, right string) Call[[]Difference] {
	return get[[]Difference](at("repos", left, "diff", right))
}

// DiffRevisions compares two revisions of a publication by their generations. "" on the
// right is the current one, and "" on the left the one before that on the right.
func DiffRevisions(p Place, left, right string) Call[[]Difference] {
	return get[[]Difference](p.path("diff")).With("from", left).With("to", right)
}

// UploaderRules are aptly's uploaders.json. A file that no rule allows is refused.
type UploaderRules struct {
	Groups map[string][]string
	Rules  []UploaderRule
}

// UploaderRule allows the changes that match a condition to keys: to their IDs and groups.
type UploaderRule struct {
	Condition   string `json:"condition"`
	Allow, Deny []string
}

// ShowUploaders asks for the rules of a repository; nil allows all keys.
func ShowUploaders(name string) Call[*UploaderRules] {
	return get[*UploaderRules](at("repos", name, "uploaders"))
}

// TreeEntry is a file or folder of a publication.
type TreeEntry struct {
	Name, SHA256 string
	Folder       bool
	Size         int64
}

// ListTree asks for the entries of a folder of a publication; "" is its prefix.
func ListTree(p Place, folder string) Call[[]TreeEntry] {
	return get[[]TreeEntry](p.path("tree")).With("path", folder)
}

// Pass sends a file that can be read only once to an upload directory. It is not sent
// again after a failure.
func (c *Client) Pass(ctx context.Context, dir, name string, from io.Reader) error {
	aptless, err := c.Aptless(ctx)
	if err != nil {
		return err
	}
	raw := func() (io.Reader, error) { return from, nil }
	r := request{method: http.MethodPut, path: at("files", dir, name), raw: raw, size: -1, media: "application/octet-stream"}
	if !aptless { // aptly takes forms only
		r = form(dir, []Local{{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(from), nil }}})
		r.safe, r.size = false, -1
	}
	_, err = c.once(ctx, r)
	return err
}

// StorageByObject asks for the storage that objects take by the last check. The answer
// is 404 if there was none, and aptly has none: use Fetch.
func StorageByObject() Call[Nothing] { return get[Nothing](at("storage")).With("by", "object") }
