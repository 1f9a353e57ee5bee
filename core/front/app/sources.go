package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/formats/pgp"
	"aptless/core/front/api"
)

// maxListed bounds the number of publications in one warning.
const maxListed = 10

// SignedByOthers names the publications that are signed only by keys the server does
// not have, for example after its key was replaced. It names at most maxListed and
// then adds "and others".
func (a *App) SignedByOthers(ctx context.Context) ([]string, error) {
	records, err := a.publications.All(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range records {
		own, others, err := a.signatures.of(ctx, r.Storage, r.Prefix, r.Distribution)
		if err != nil {
			return names, err
		}
		if len(own) > 0 || len(others) == 0 {
			continue
		}
		if len(names) == maxListed {
			return append(names, "and others"), nil
		}
		names = append(names, fmt.Sprintf("%s/%s (signed by %s)", r.Dist().Display(), r.Distribution, others[0]))
	}
	return names, nil
}

// sourcesText returns the deb822 text with which apt uses the selected publications.
// There is one stanza each, with the signing keys in Signed-By (sources.list(5)). A
// tree without a signature of the server's keys is left out, because apt would refuse
// it. If no stanza is left, the error is driver.ErrNotFound and the text explains it.
func (a *App) sourcesText(ctx context.Context, base string, want api.Selection) (string, error) {
	views, err := a.publications.Below(ctx, want.Storage, want.Prefix)
	if err != nil {
		return "", err
	}
	var stanzas, notes strings.Builder
	unsigned := 0
	for _, v := range views {
		if want.Distributions != nil && !slices.Contains(want.Distributions, v.Distribution) || !api.Shows(ctx, v.Storage, v.Prefix) {
			continue
		}
		own, others, err := a.signatures.of(ctx, v.Storage, v.Prefix, v.Distribution)
		switch {
		case err != nil:
			return "", err
		case len(own) > 0:
			writeStanza(&stanzas, base, v, own)
		case len(others) > 0:
			fmt.Fprintf(&notes, "# %s is signed by %s, a key that this server does not have: it is to be updated.\n", v.Distribution, others[0])
		default:
			unsigned++
		}
	}
	if unsigned > 0 {
		fmt.Fprintf(&notes, "# Publications that are not signed, and are left out: %d\n", unsigned)
	}
	if stanzas.Len() == 0 {
		all, err := a.publications.List(ctx)
		if err != nil {
			return "", err
		}
		all = slices.DeleteFunc(all, func(v publish.View) bool { return !api.Shows(ctx, v.Storage, v.Prefix) })
		return notes.String() + nothingThere(base, want, all), driver.ErrNotFound
	}
	if notes.Len() > 0 {
		notes.WriteByte('\n')
	}
	return notes.String() + stanzas.String(), nil
}

// nothingThere returns comments that name the existing publications instead of the
// selected ones.
func nothingThere(base string, want api.Selection, views []publish.View) string {
	var b strings.Builder
	b.WriteString("# There is no signed publication")
	if want.Distributions != nil {
		fmt.Fprintf(&b, " of the distribution %s", strings.Join(want.Distributions, " or "))
	}
	fmt.Fprintf(&b, " at the prefix %q.\n", want.Prefix)
	seen := map[string]bool{}
	for _, v := range views {
		uri := uriOf(base, v)
		if uri == "" || seen[uri] || v.Storage == want.Storage && v.Prefix == want.Prefix && want.Distributions == nil {
			continue
		}
		if seen[uri] = true; len(seen) > maxListed {
			break
		}
		fmt.Fprintf(&b, "# Another is %s/aptless.sources\n", uri)
	}
	return b.String()
}

// uriOf returns the URL of a publication for apt, or "" if this server does not serve it.
func uriOf(base string, v publish.View) string {
	if name, ok := strings.CutPrefix(v.Storage, "filesystem:"); ok {
		base += "/repos/" + name
	} else if v.Storage != "" {
		return ""
	}
	if v.Prefix != "." {
		base += "/" + v.Prefix
	}
	return base
}

// writeStanza writes the stanza of a publication.
func writeStanza(b *strings.Builder, base string, v publish.View, keys []*pgp.Key) {
	b.WriteString(stanzaOf(base, v).text())
	b.WriteString("Signed-By:\n" + embedded(keys) + "\n")
}

// stanza is a source of apt, as in sources.list(5).
type stanza struct {
	types             []string
	uri, suite        string
	components, archs []string
}

func stanzaOf(base string, v publish.View) stanza {
	st := stanza{types: []string{"deb"}, uri: cmp.Or(uriOf(base, v), base), suite: v.Distribution}
	for _, a := range v.Architectures {
		if a == "source" {
			st.types = append(st.types, "deb-src")
		} else if a != "all" {
			st.archs = append(st.archs, a)
		}
	}
	if len(st.archs) == 0 && !slices.Contains(v.Architectures, "all") {
		st.types = []string{"deb-src"}
	}
	for _, s := range v.Sources {
		st.components = append(st.components, s.Component)
	}
	return st
}

// text returns the fields of the stanza without Signed-By.
func (st stanza) text() string {
	text := fmt.Sprintf("Types: %s\nURIs: %s\nSuites: %s\nComponents: %s\n", strings.Join(st.types, " "), st.uri, st.suite, strings.Join(st.components, " "))
	if len(st.archs) > 0 {
		text += "Architectures: " + strings.Join(st.archs, " ") + "\n"
	}
	return text
}

// embedded returns keys as the lines of a field.
func embedded(keys []*pgp.Key) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(string(armored(keys)), "\n"), "\n") {
		if strings.TrimSpace(line) == "" {
			line = "."
		}
		fmt.Fprintf(&b, " %s\n", line)
	}
	return b.String()
}
