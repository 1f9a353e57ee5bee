package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"aptless/core/client"
)

// hint is a remedy for refusals: a command to copy, or a sentence. $1 is a group of the
// pattern, and {name} the object of the command.
type hint struct {
	pattern *regexp.Regexp
	text    string
}

// hints are tried in order.
var hints = []hint{
	{regexp.MustCompile(`local repo with name (\S+) already exists`), "aptless repo show $1"},
	{regexp.MustCompile(`snapshot with name (\S+) already exists`), "aptless snapshot show $1"},
	{regexp.MustCompile(`mirror with name (\S+) already exists`), "aptless mirror show $1"},
	{regexp.MustCompile(`prefix/distribution already used|already used by another published`), "aptless publish update DISTRIBUTION [PREFIX], or aptless publish list"},
	{regexp.MustCompile(`file already exists and is different|is already in the pool with other content|conflict.*pool`), "add --force-overwrite, or create the publication with --pool-layout=hash"},
	{regexp.MustCompile(`unable to guess distribution|distribution is (not|empty)|please specify.*distribution`), "add --distribution=NAME"},
	{regexp.MustCompile(`conflict in package|conflict.*already`), "add --force-replace"},
	{regexp.MustCompile(`(used as source|is used|is in use|has snapshots|published).*force|unable to drop`), "aptless graph shows the users; --force drops it all the same"},
	{regexp.MustCompile(`address .* not public|--allow-upstream|upstream.*not allowed`), "start the server with --allow-upstream=HOST"},
	{regexp.MustCompile(`no public key`), "aptless key trusted add FILE, with the key of the archive, or --keyserver=keyserver.ubuntu.com KEY"},
	{regexp.MustCompile(`unable to fetch mirror: HTTP code 404`), "the address is the folder above dists: are it and the distribution right?"},
	{regexp.MustCompile(`no key|NO_PUBKEY|unable to verify|signature.*(verif|valid|found)`), "aptless key trusted add --keyserver=keyserver.ubuntu.com KEY"},
	{regexp.MustCompile(`unable to roll back: .* has no revision`), "aptless publish history DISTRIBUTION [PREFIX] lists the revisions"},
	{regexp.MustCompile(`snapshots shouldn't be given when updating local repo`), "it publishes a repository: aptless publish update DISTRIBUTION [PREFIX]; a snapshot needs another distribution"},
	{regexp.MustCompile(`unsupported protocol scheme ""`), "write the address with http:// or https://"},
	{regexp.MustCompile(`key .*(refuse|weak|expired)`), "aptless key lint"},
	{regexp.MustCompile(`unable to (figure out|determine) (the )?list of architectures|architectures.*(empty|specify)`), "add --architectures=amd64"},
}

// hintOf returns the remedy for an error, "" for none. s is the session, for names.
func hintOf(err error) string {
	var refused *client.Refusal
	var gone *client.Unreachable
	var waiting *client.ErrWaiting
	switch {
	case errors.As(err, &waiting):
		return fmt.Sprintf("aptless task wait %d", waiting.Task)
	case errors.As(err, &gone) && gone.Sent:
		return "aptless task list    # the server may have done it"
	case errors.As(err, &gone):
		return "aptless config show    # is the address right, and does the server run?"
	case !errors.As(err, &refused):
		return ""
	}
	switch refused.Status {
	case http.StatusUnauthorized:
		return "aptless login"
	case http.StatusForbidden:
		return "aptless whoami    # an administrator can make a token with this permission"
	case http.StatusRequestEntityTooLarge:
		return "a proxy or --max-upload of the server limits the size of a file: raise it there"
	case http.StatusTooManyRequests:
		return "aptless task list    # too many tasks wait: try again later"
	}
	if absent.MatchString(refused.Text) {
		return "" // missingHint looks for the name
	}
	for _, h := range hints {
		if at := h.pattern.FindStringSubmatchIndex(refused.Text); at != nil {
			return string(h.pattern.ExpandString(nil, h.text, refused.Text, at))
		}
	}
	return ""
}

// kindOf is the noun of a path of the API, for a listing of its names.
var kindOf = regexp.MustCompile(`^/api/(repos|mirrors|snapshots)/`)

// listing returns the command that lists the objects of a refused request.
func listing(r *client.Refusal) string {
	if at := kindOf.FindStringSubmatch(r.Path); at != nil {
		return "aptless " + strings.TrimSuffix(at[1], "s") + " list"
	}
	switch {
	case strings.HasPrefix(r.Path, "/api/publish"):
		return "aptless publish list"
	case strings.HasPrefix(r.Path, "/api/auth/tokens"):
		return "aptless token list"
	case strings.HasPrefix(r.Path, "/api/tasks"):
		return "aptless task list"
	}
	return ""
}

// again is the whole command, to be run once more.
func (s *session) again() string {
	words := []string{filepath.Base(s.words[0])}
	for _, w := range s.words[1:] {
		words = append(words, quote(w))
	}
	return strings.Join(words, " ")
}

// looking bounds the questions for a hint.
const looking = time.Second

// named is the path of one object, with its kind and its name.
var named = regexp.MustCompile(`^/api/(repos|mirrors|snapshots)/([^/]+)`)

// absent are texts of refusals because an object is missing, with its noun and its name.
var absent = regexp.MustCompile(`(local repo|mirror|snapshot) with name (\S+) not found|published repo with \S+ \S+ not found`)

// objectOf returns the kind and the name of the object that is missing: by the text of the
// refusal, else by its path. Both are "" for a publication.
func objectOf(r *client.Refusal) (kind, name string) {
	if at := absent.FindStringSubmatch(r.Text); at != nil {
		return map[string]string{"local repo": client.OfRepos, "mirror": client.OfMirrors, "snapshot": client.OfSnapshots}[at[1]], at[2]
	}
	at := named.FindStringSubmatch(r.Path)
	if at == nil {
		return "", ""
	}
	name, err := url.PathUnescape(at[2])
	if err != nil {
		return "", ""
	}
	return at[1], name
}

// missingHint returns the command with the name of an object that is there and is spelled
// alike. Without such a name it returns the command that lists all names.
func (s *session) missingHint(r *client.Refusal) string {
	kind, name := objectOf(r)
	list := listing(r)
	if kind != "" {
		list = "aptless " + strings.TrimSuffix(kind, "s") + " list"
	}
	if s.client == nil {
		return list
	}
	if kind == "" {
		return list + s.creates(list)
	}
	ctx, cancel := context.WithTimeout(context.Background(), looking)
	defer cancel()
	s.client.Watch = nil
	like := near(name, serverNames(ctx, s.client, kind))
	if i := slices.Index(s.words, name); len(like) > 0 && i > 0 {
		words := slices.Clone(s.words)
		words[i] = like[0]
		return (&session{words: words}).again()
	}
	if len(like) > 0 {
		return list + "    # is it " + strings.Join(like, " or ") + "?"
	}
	return list + s.creates(list)
}

// creates is the remark that push makes missing objects, after a command that lists them. It
// is "" for other commands.
func (s *session) creates(list string) string {
	if list == "" || !slices.Contains(s.words, "push") || slices.Contains(s.words, "--create") {
		return ""
	}
	return "    # or add --create, to make it"
}

// inUse are texts of refusals of a removal, because others use the object.
var inUse = regexp.MustCompile(`(used as source|is used|is in use|has snapshots|is published|published).*(force|drop)|unable to drop`)

// users names the publications and the snapshots that use the object of a refused removal,
// as far as the server tells them.
func (s *session) users(r *client.Refusal) string {
	at := named.FindStringSubmatch(r.Path)
	if at == nil || s.client == nil || r.Method != http.MethodDelete || !inUse.MatchString(r.Text) {
		return ""
	}
	name, err := url.PathUnescape(at[2])
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), looking)
	defer cancel()
	s.client.Watch = nil
	var users, snapshots []string
	kind := map[string]string{client.OfRepos: "local", client.OfSnapshots: "snapshot"}[at[1]]
	all, _ := client.Send(ctx, s.client, client.ListPublications()) // without it the hint has no names
	for _, p := range all.Value {
		if p.SourceKind == kind && slices.ContainsFunc(p.Sources, func(v client.Source) bool { return v.Name == name }) {
			users = append(users, p.Place().String())
		}
	}
	made, _ := client.Send(ctx, s.client, client.ListSnapshots())
	for _, v := range made.Value {
		if strings.Contains(v.Description, "["+name+"]") || strings.Contains(v.Description, "'"+name+"'") {
			snapshots = append(snapshots, v.Name)
		}
	}
	switch {
	case len(users) > 0:
		place := strings.SplitN(users[0], "/", 2)
		return fmt.Sprintf("aptless publish drop %s %s    # published: %s", quote(place[1]), quote(place[0]), strings.Join(limited(users, 5), ", "))
	case len(snapshots) > 0:
		return fmt.Sprintf("aptless %s drop --force %s    # made of it: %s", strings.TrimSuffix(at[1], "s"), quote(name), strings.Join(limited(snapshots, 5), ", "))
	}
	return ""
}
