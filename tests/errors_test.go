package tests

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var writeErrors = flag.Bool("write-errors", false, "write docs/reference/errors.md")

// family is a group of texts with one remedy.
type family struct {
	pattern *regexp.Regexp
	remedy  string
}

// storedRemedy is the remedy of texts that no input of a client causes.
const storedRemedy = "the stored data are damaged, or this is a fault of aptless: run `aptless fsck`, and report it with the log"

// families are tried in order. Each text of an error has to match one.
var families = func() []family {
	var all []family
	for _, f := range [][2]string{
		// Narrow groups are first: words of their texts are in the wide ones, too.
		{`^(former calendar|retention of|cursor of task|output of task|number of a task|two kinds of task|debt |unknown form|no more paths|needs (more than|other resources)|no end after|inventory|manifest (is superseded|of|%s)|wrong states)|^task .*(names no resource|has no principal|is not in the queue|earlier write)|every task of a closed`, storedRemedy},
		{`pool layout hash`, "publish with another pool layout, or give the readers `tree.read` on `*`: [private downloads](../how-to/private-downloads.md)"},
		{`values for the edge change`, "repeat the request after a minute"},
		{`^(could not find task|unknown task)`, "`aptless task list` shows the tasks; records of ended tasks are removed after a time"},
		{`^cancelled$`, "somebody has cancelled the task: run the command again"},
		{`state=|^task (with id .* )?has (committed|ended|not ended)|^the task has`, "`aptless task wait` ends with the task; after its commit it cannot be cancelled, and before its end it cannot be removed"},
		{`^other large requests`, "repeat the request after a minute: large bodies share a part of `--memory` ([limits](../limits.md))"},
		{`its generation is %d, and the request is for`, "somebody has changed the object since it was read: look at it again, then repeat the request with its generation"},
		{`at most %d (are possible|can be|are deleted|snapshots|other snapshots)|too many (architectures|queries)|larger than %d bytes: ask for pages`, "the bounds are in [limits](../limits.md): make the request, the objects or the pattern smaller"},
		{`^permission was taken away`, "the token was revoked or changed before its task ran: an administrator makes one with the grants"},
		{`^(unable to drop: snapshot is published|unable to drop, local repo is published)`, "drop the publication first: `aptless publish list` shows it"},
		{`use (\?force=1|'force=1') to override`, "`--force` drops it also with snapshots that were made of it"},
		{`^internal error`, "a fault of the program: the log has its place; please report it"},
		{`^files of %s are missing|files are refused|cannot be: %s$`, "send the files that are named, or correct them, and deliver again"},
		{`^too many tasks`, "`aptless task list` shows the tasks: repeat the request when some have ended"},
		{`^JSON is nested|body has more than one|^a request body of the type`, "send one JSON value, with `Content-Type: application/json`"},
		{`^(malformed (OpenPGP|stanza)|(OpenPGP data|control file|stanza|paths) too (large|long)|unsupported compression|%d bytes signed|more than %d signatures|key %.*(parts|signatures)|packet %d|signature (of )?type)|^keys? with more|bytes are too many for a .dsc`, "the package, key or signature that was sent is damaged or beyond the [limits](../limits.md): build or export it again"},
		{`request body has more|^the request has|names of %d bytes`, "split the request: the limit is in [limits](../limits.md)"},
		{`^two files have the name`, "give each file of the request a name of its own"},
		{`^(field (Client|Head|Cred)|credentials, headers)`, "correct the secrets of the mirror: [mirrors](../how-to/mirrors.md)"},
		{`sha256 is not 64|size is not one`, "give the size in bytes and the SHA-256 of the file in small hexadecimal digits"},
		{`too long or has a blank`, "use a shorter name of the prefix, distribution or component, without blanks"},
		{`^(answer too large|release file|more than %d files in Release)|it was valid until|signed Release file does not|^%s: empty`, "the archive of the mirror is at fault, or an old copy of it: update the mirror later, or take another address of the archive ([mirrors](../how-to/mirrors.md))"},
		{`^template: `, "correct the template of the repository's name: it may use fields of the .changes only"},
		{`key ?server`, "give the key itself (`GpgKeyArmor`, `aptless key trusted add FILE`), or the address of another key server"},
		{`no keys in gpg|unable to (clearsign|detached sign)`, "the server has no usable signing key: `aptless key lint` names its problems; GpgKey names one of the server's keys"},
		{`^(bad signature|no (signature|clearsigned)|clearsigned)`, "sign the file again with a key of the keyring that the server uses: `aptless key trusted list` shows the keys"},
		{`^keybox file`, "export the keys with `gpg --export` in place of a copy of GnuPG's folder"},
		{`^no object is|^%q is no name of a publication|no repo, mirror, snapshot or publication is`, "name an object of the transfer as the text says: [transfer](transfer.md)"},
		{`changed by another writer|is changed by others`, "another request has changed the object at the same time: repeat the request"},
		{`^no candidates|^unable to search`, "correct the query, or the repositories, mirrors and snapshots of the request: [queries](queries.md)"},
		{`packages cannot be taken`, "the first package is named: report it to the archive, or leave it out with the filter of the mirror"},
		{`something behind it`, "correct the rules of uploaders: the file is one JSON value"},
		{`is not the file that the .dsc names`, "send the files that the .dsc lists: they have its sizes and digests"},
		{`: condition %`, "correct the rules of uploaders: the condition is a [query](queries.md)"},
		{`^filter, distribution or lists`, "give shorter settings, or make two mirrors"},
		{`^(no architectures|no components|unable to determine list)`, "add `--architectures` or `--component` to the command"},
		{`mirror hasn't been downloaded`, "`aptless mirror update` first"},
		{`of the Release has not come`, "correct the clock of the server"},
		{`has no data folder`, "on AWS: [export](transfer.md), point-in-time recovery of the table and versions of the bucket are the backups"},
		{`^no copy`, "make the backup again: [backup](../how-to/backup.md)"},
		{`^request of another site`, "a browser sent it from a page of another site: use the server's own pages, or allow that origin ([options](options.md))"},
		{`^(credentials are not valid|authentication is needed|there is no key by which)`, "send a token: `aptless login`, or `APTLESS_TOKEN`; the administrator makes one with `aptless token create`"},
		{`^no permission`, "`aptless whoami` shows the grants of the token; an administrator makes one with more"},
		{`token .*(revoked|rotated|taken|cannot be rotated)|^no such token|the token is gone|this request has no token`, "`aptless token list` shows the tokens and their states"},
		{`token's row|binding's row|live tokens|at most %d (policies|patterns)|there are %d bindings|1 to %d Grants|all grants`, "remove what is not used, or give fewer or shorter names"},
		{`grant|role |permission %|downloader|admin has no|Kind is|Match|download token|Expires|Grace|^Name and Owner|^a name and an Owner|^a pattern has|^Publish: `, "correct the token, binding or policy as the text says: [protect](../how-to/protect.md) has examples"},
		{`^(it |its |its claim|jwks_uri|keys of the issuer|the (signature is wrong|issuer has no key|header has|key %.50q is not for|document of)|part %d is not base64url|a part (has|is no JSON)|more than one policy|no policy has|no such policy|%.200q is no address of https)`, "compare the ID token's issuer, audience and claims with `aptless policy list`; an audit record has the exact reason"},
		{`binding`, "`aptless audit` says which certificate was refused; `GET /api/auth/bindings` lists the bindings"},
		{`open server|another site|proxy is an address|an origin is a scheme|asks no other server|own address|no authentication: nothing|closed server`, "set the option of the server that the text names: [options](options.md)"},
		{`private prefixes|values for the edge|pool layout hash`, "read the present list with `GET /api/auth/access`, and repeat: [private downloads](../how-to/private-downloads.md)"},
		{`parsing failed|unexpected token|no query|more than %d terms|nested more than|query|pattern longer|regexp compile|use simpler`, "write a simpler or correct query: [queries](queries.md)"},
		{`Content-Type|media|form|JSON|body|request has|no file in|field .*JSON|Content-Transfer|files is wanted|two files have|list of 1 to`, "send the body as the text says: JSON with `Content-Type: application/json`, or a form with files"},
		{`wrong (dir|file|folder)|upload director|^invalid argument|belongs to another owner|directory|^open %s: no such file`, "name a directory of the upload area that this token owns, without `..`: `GET /api/files`"},
		{`parts|^wrong part|was not put|not wanted`, "begin the upload again: `aptless upload` does it"},
		{`sha256 is not|size is not|too (large|long)|more than %d bytes|more bytes|the most that is taken|bytes are too many|bytes, of at most`, "the limit is in [limits](../limits.md); `--max-upload` raises that of files"},
		{`^memory for the answer`, "send the request again: large answers wait for each other; `limit=` makes them small"},
		{`task|cancelled|resources`, "`aptless task list` shows the tasks and their states; a waiting request may be sent again"},
		{`figure out Codename`, "start the server with `--ppa-codename`"},
		{`allow-upstream|unsupported protocol scheme|not the URL of an archive|URL of archive|parse URL|ppa URL`, "give an address of http or https; `serve --allow-upstream=HOST` allows addresses that are not public"},
		{`gpg: |[Kk]ey ?server|keyring|GpgKey|OpenPGP|\bkeys?\b.*(gpg|ring|armor)|signed|sign file|signature`, "add or replace the key: `aptless key trusted add`, `aptless key lint`, [rotate a key](../how-to/rotate-key.md)"},
		{`Signing\.`, "set `--passphrase-file` of the server; leave the field out"},
		{`field (Client|Cred|Head)|^Credentials|credentials, headers|secrets`, "correct the secrets of the mirror: [mirrors](../how-to/mirrors.md)"},
		{`flat repos|NoRelease|Release file|the date .* of the Release|IgnoreChecksums|architecture .* not available|component .* not available|no (components|architectures)|determine list of architectures|file .* of|checksums in packages|hash sum line|unable to parse|leads out of|^distribution|AppStream|debian-installer|KeepVersions|lists of the mirror|package list, mirror|template: |filter`, "change the mirror's settings as the text says, or report the fault of the archive: [mirrors](../how-to/mirrors.md)"},
		{`schedule`, "write an interval as `6h`, or five fields of crontab in UTC"},
		{`compress|digest %|gzip level|digests without|digests? is named|of sha`, "correct the option of the server: [options](options.md)"},
		{`manifest|export|transfer|skeleton file|object %d|objects|inventory|piece|no copy|no such part|no data folder`, "make the export again, or another copy of it: [transfer](transfer.md)"},
		{`graphviz|"dot"`, "install the Debian package `graphviz` on the server, or ask for `graph.dot`"},
		{`publication .* dropped|unable to show`, "`aptless publish list` shows the publications"},
		{`drop box|uploaders|\.dsc`, "deliver by the API, or change the rules of uploaders"},
		{`storage was never checked`, "run `aptless fsck --url` once"},
		{`already exists|not found|is being deleted|key not found|has ended|no longer`, "`list` of the kind shows the names; a name that is being deleted is free soon"},
		{`no candidates|unable to search|cannot be taken|SHA-256|no package$|no more paths|names the file|unable to (load|import|process)|verify dependencies`, "`aptless fsck` names damaged files; otherwise correct the sources of the request"},
		{`^invalid |is no number|beyond the end|sorting method|whole list|do(es)? not go with|not allowed in the name|limit is 1 to|distribution is wanted|more than %d (public|keyrings)|last index|architectures, of at most|keys are too many|no page`, "correct the value as the text says; `/docs` of the server has the allowed ones"},
		{`audit record cannot|%v in time|answer too (large|long)|no end after|changed by|by others|stalled|lease|earlier write|Error getting storage`, "the storage fails for the moment: repeat the request, and look at the log"},
		{`[Cc]omponents? (%|name|'%s')|component of|SourceKind|PoolLayout|alias|are identical|dest add|minimum one|no snapshot matches|pattern is required|json: cannot|snapshots shouldn't|in each other|storage %s not configured|NotAutomatic|no revision|being dropped|of snapshot %s is not given`, "correct the request as the text says: `/docs` of the server has its fields"},
		{`^(unable to (drop|update: unable)|unable to initialize GPG|mirror %s: %w|result of)`, "the text after the colon has its own remedy"},
		{`damaged|row|record|mismatch|content|chunk|list|root of|summary|reference|cursor|queue|calendar|debt|message|group|write of|epoch|range|pin of|copy to|key |keys |object|retention|in time|digest|index|entry|package|path|publication|refuse |remove |announcement|upload|empty|something behind|condition|valid until|not what it was|part %d|bytes instead|it has %d|route without|output|arguments|state|removal|plan|progress|prefix|edit|admission|read |count`, storedRemedy},
	} {
		all = append(all, family{regexp.MustCompile(f[0]), f[1]})
	}
	return all
}()

// madeErrors returns the texts of the errors that a package tree makes, with their files.
func madeErrors(t *testing.T, roots ...string) map[string][]string {
	t.Helper()
	makers := map[string]bool{"Errorf": true, "New": true, "refuse": true, "invalid": true, "Fail": true}
	found := map[string][]string{}
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join("..", root), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(filepath.Dir(name), "test") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				var parts []ast.Expr
				switch n := n.(type) {
				case *ast.CallExpr:
					if makers[lastName(n.Fun)] {
						parts = n.Args
					}
				case *ast.CompositeLit:
					if lastName(n.Type) == "BindError" {
						parts = n.Elts
					}
				}
				if text := firstText(parts); text != "" {
					found[text] = append(found[text], filepath.ToSlash(filepath.Dir(name))[3:])
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// firstText returns the first literal text of some expressions, also that of a Sprintf.
func firstText(parts []ast.Expr) string {
	for _, part := range parts {
		if call, ok := part.(*ast.CallExpr); ok && lastName(call.Fun) == "Sprintf" {
			part = call.Args[0]
		}
		if lit, ok := part.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, _ := strconv.Unquote(lit.Value)
			return text
		}
	}
	return ""
}

// lastName returns the name of a function or type without its package.
func lastName(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.SelectorExpr:
		return fun.Sel.Name
	case *ast.Ident:
		return fun.Name
	}
	return ""
}

// verb matches a verb of fmt.
var verb = regexp.MustCompile(`%[-+#.0-9]*[a-zA-Z]`)

// errorsPage returns docs/reference/errors.md.
func errorsPage(t *testing.T) string {
	t.Helper()
	found := madeErrors(t, "core/front/api", "core/front/auth", "core/front/app", "core/archive", "core/engine/task", "core/engine/lock", "core/engine/driver", "core/engine/named", "core/engine/calendar", "core/formats/deb", "core/formats/pgp")
	groups := make([][]string, len(families))
	for _, text := range slices.Sorted(maps.Keys(found)) {
		if !regexp.MustCompile(`[a-z]{5}`).MatchString(verb.ReplaceAllString(text, "")) {
			continue // it only puts other texts together
		}
		at := slices.IndexFunc(families, func(f family) bool { return f.pattern.MatchString(text) })
		if strings.HasPrefix(found[text][0], "core/formats/") && at == len(families)-1 {
			at = -1
		}
		if at >= 0 { // a remedy has one group
			for i, f := range families[at+1:] {
				if f.remedy == families[at].remedy {
					at += 1 + i
					break
				}
			}
		}
		switch {
		case at >= 0:
			groups[at] = append(groups[at], text)
		case strings.HasPrefix(found[text][0], "core/formats/"): // a package or a key that was sent
		default:
			t.Errorf("the error %q of %s has no remedy", text, found[text])
		}
	}
	var b strings.Builder
	b.WriteString(errorsHead)
	shownGroups := 0
	for i, texts := range groups {
		if texts == nil {
			continue
		}
		shownGroups++
		fmt.Fprintf(&b, "\n## Group %d\n\nRemedy: %s.\n\n", shownGroups, families[i].remedy)
		for _, text := range texts {
			shown := verb.ReplaceAllString(strings.TrimSpace(strings.ReplaceAll(text, "\n", " ")), "…")
			fmt.Fprintf(&b, "* `%s`\n", strings.ReplaceAll(shown, "`", "'"))
		}
	}
	return b.String()
}

const errorsHead = `# Errors and their remedies

This page is for people who have the text of an error. It is made from the sources: look for words of your text. "…" is a value, or
the text of a further error. [Troubleshooting](../how-to/troubleshoot.md) begins with symptoms, also of apt.

An answer with an error has ` + "`error`" + `, which is aptly's text where aptly has one, and often ` + "`hint`" + `, which is the remedy. The log
and the audit have the same text.
`

// TestErrorsHaveRemedies holds that docs/reference/errors.md has each text of an error that
// clients can see, and that each has a remedy.
func TestErrorsHaveRemedies(t *testing.T) {
	const name = "../docs/reference/errors.md"
	want := errorsPage(t)
	if *writeErrors {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != want {
		t.Errorf("%s is not that of the sources (%v): go test ./tests -run TestErrorsHaveRemedies -write-errors", name, err)
	}
}

// layouts returns docs/reference/storage.md: the stored layouts of all packages.
func layouts(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Storage layout

This page is for people who look into the storage. It is made from the sources. A line "a / b" is a row of the table: partition and
sort. A line with ` + "`private/`" + ` or ` + "`public/`" + ` is an object: a file below the data folder, or an object of a bucket on AWS. Nothing else
may write there. [Backup](../how-to/backup.md) says how to copy it.
`)
	var docs []string
	for _, root := range []string{"core", "infra"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(name string, _ fs.DirEntry, err error) error {
			if filepath.Base(name) == "doc.go" {
				docs = append(docs, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(docs)
	for _, name := range docs {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, after, ok := strings.Cut(string(text), "tored layout")
		if !ok {
			continue
		}
		var lines []string
		for line := range strings.Lines(after) {
			indented, preformatted := strings.CutPrefix(line, "//\t")
			if preformatted {
				lines = append(lines, indented)
			} else if lines != nil && strings.TrimSpace(line) != "//" {
				break
			}
		}
		if lines == nil {
			continue
		}
		fmt.Fprintf(&b, "\n## `%s`\n\n```text\n%s```\n", filepath.ToSlash(filepath.Dir(name))[3:], strings.Join(lines, ""))
	}
	return b.String()
}

// TestStorageIsListed holds that docs/reference/storage.md has the stored layout of each
// package.
func TestStorageIsListed(t *testing.T) {
	const name = "../docs/reference/storage.md"
	want := layouts(t)
	if strings.Count(want, "\n## ") < 12 {
		t.Errorf("the page has few packages:\n%s", want)
	}
	if *writeErrors {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != want {
		t.Errorf("%s is not that of the sources (%v): go test ./tests -run TestStorageIsListed -write-errors", name, err)
	}
}
