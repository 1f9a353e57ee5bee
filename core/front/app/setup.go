package app

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/formats/pgp"
	"aptless/core/front/api"
)

// enrolment has the parts of the texts by which a machine gets to use a publication.
type enrolment struct {
	stanza
	name string // of the files of the machine, without suffix
	keys []*pgp.Key
}

// setup writes the text of a variant. A key is part of the text or a file of its own. It is
// never among the keys that apt trusts for all sources.
func (a *App) setup(ctx context.Context, base string, n publish.Name, variant string) (api.Setup, error) {
	v, err := a.publications.Show(ctx, n)
	if err != nil {
		return api.Setup{}, err
	}
	made := api.Setup{For: variant, Warnings: []string{}}
	own, others, err := a.signatures.of(ctx, v.Storage, v.Prefix, v.Distribution)
	if err != nil {
		return api.Setup{}, err
	}
	e := enrolment{stanzaOf(base, v), fileName(base, v), own}
	switch {
	case len(own) > 0:
	case len(others) > 0:
		made.Warnings = append(made.Warnings, fmt.Sprintf("The publication is signed by %s, a key that this server does not have: update it.", others[0]))
	default:
		made.Warnings = append(made.Warnings, "The publication is not signed: apt refuses it.")
	}
	if uriOf(base, v) == "" && v.Storage != "" {
		made.Warnings = append(made.Warnings, "This server does not serve the storage "+v.Storage+": replace the address by that of its files.")
	}
	made.Text, made.File = e.text(variant)
	return made, nil
}

// fileName returns the name of a machine's files, such as "repo.example.com-debian-stable".
func fileName(base string, v publish.View) string {
	host := base
	if u, err := url.Parse(base); err == nil {
		host = u.Hostname()
	}
	name := host
	if v.Prefix != "." {
		name += "-" + v.Prefix
	}
	return strings.Map(func(r rune) rune { // apt ignores files with other characters
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
			return r
		}
		return '-'
	}, name+"-"+v.Distribution)
}

func (e enrolment) sourcesFile() string { return "/etc/apt/sources.list.d/" + e.name + ".sources" }
func (e enrolment) keyFile() string     { return "/etc/apt/keyrings/" + e.name + ".asc" }

// deb822 is the source with the key in it: apt 2.3.10 reads it (Debian 12, Ubuntu 22.04).
func (e enrolment) deb822() string {
	text := e.stanza.text()
	if len(e.keys) > 0 {
		text += "Signed-By:\n" + embedded(e.keys)
	}
	return text
}

// text returns a variant, and the path of the file that it is.
func (e enrolment) text(variant string) (text, file string) {
	key := string(armored(e.keys))
	switch variant {
	case "deb822":
		return e.deb822(), e.sourcesFile()
	case "keyfile":
		return e.keyCommands() + tee(e.sourcesFile(), e.stanza.text()+e.signedBy("Signed-By: %s\n")) + "sudo apt-get update\n", ""
	case "list":
		return e.keyCommands() + tee("/etc/apt/sources.list.d/"+e.name+".list", e.lines()) + "sudo apt-get update\n", ""
	case "containerfile":
		return "COPY --chmod=0644 <<'EOF' " + e.sourcesFile() + "\n" + e.deb822() + "EOF\nRUN apt-get update\n", ""
	case "cloud-init":
		return "#cloud-config\nwrite_files:\n  - path: " + e.sourcesFile() + "\n    permissions: \"0644\"\n    content: |\n" +
			indented(e.deb822(), "      ") + "package_update: true\n", ""
	case "ansible":
		return e.ansible(key), ""
	case "auth":
		return fmt.Sprintf("machine %s\nlogin token\npassword TOKEN\n", strings.TrimPrefix(e.uri, "https://")), "/etc/apt/auth.conf.d/" + e.name + ".conf"
	}
	return tee(e.sourcesFile(), e.deb822()) + "sudo apt-get update\n", ""
}

// signedBy returns a text with the path of the key file, or "" without keys.
func (e enrolment) signedBy(format string) string {
	if len(e.keys) == 0 {
		return ""
	}
	return fmt.Sprintf(format, e.keyFile())
}

// keyCommands write the key file: apt 1.4 reads armoured ones (Debian 9, Ubuntu 18.04).
func (e enrolment) keyCommands() string {
	if len(e.keys) == 0 {
		return ""
	}
	return "sudo install -d -m 0755 /etc/apt/keyrings\n" + tee(e.keyFile(), string(armored(e.keys)))
}

// lines are the source in the one-line form.
func (e enrolment) lines() string {
	var options []string
	if len(e.archs) > 0 {
		options = append(options, "arch="+strings.Join(e.archs, ","))
	}
	if len(e.keys) > 0 {
		options = append(options, "signed-by="+e.keyFile())
	}
	between := " "
	if len(options) > 0 {
		between = " [" + strings.Join(options, " ") + "] "
	}
	var b strings.Builder
	for _, kind := range e.types {
		fmt.Fprintf(&b, "%s%s%s %s %s\n", kind, between, e.uri, e.suite, strings.Join(e.components, " "))
	}
	return b.String()
}

// ansible is a task of the module deb822_repository.
func (e enrolment) ansible(key string) string {
	text := fmt.Sprintf("- name: APT source %s\n  ansible.builtin.deb822_repository:\n    name: %s\n    types: [%s]\n    uris: %s\n    suites: [%s]\n    components: [%s]\n",
		e.name, e.name, strings.Join(e.types, ", "), e.uri, quoted([]string{e.suite}), quoted(e.components))
	if len(e.archs) > 0 {
		text += "    architectures: [" + quoted(e.archs) + "]\n"
	}
	if len(e.keys) > 0 {
		text += "    signed_by: |\n" + indented(key, "      ")
	}
	return text
}

func quoted(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }

// tee is the shell command that writes a file.
func tee(file, content string) string {
	return "sudo tee " + file + " >/dev/null <<'EOF'\n" + content + "EOF\n"
}

// indented returns a text with a prefix before each line that is not empty.
func indented(text, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(prefix)
		}
		b.WriteString(line)
	}
	return b.String()
}
