package pages

import (
	"fmt"

	"aptless/core/client"
)

// snippet is a text by which a machine gets to use a publication.
type snippet struct {
	ID, Title, Hint string
	Text            string
	File            string // the path at which the text belongs; "" for commands
	Open            bool
}

// snippets are the texts of a page, in its order.
func snippets(private bool) []snippet {
	list := []snippet{
		{ID: "sources", Title: "One command", Hint: "For apt 2.3.10 and later: Debian 12, Ubuntu 22.04. The key is part of the file.", Open: true},
		{ID: "deb822", Title: "The .sources file", Hint: "For apt 2.3.10 and later. The key is part of the file."},
		{ID: "keyfile", Title: "A .sources file and a key file", Hint: "For apt 1.4 and later: Debian 9, Ubuntu 18.04."},
		{ID: "list", Title: "The one-line form", Hint: "For machines that have lists of one line. The key is a file of its own."},
		{ID: "containerfile", Title: "Dockerfile", Hint: "Needs BuildKit or Podman, which read files from the Dockerfile."},
		{ID: "cloud-init", Title: "cloud-init", Hint: "User data of a virtual machine."},
		{ID: "ansible", Title: "Ansible", Hint: "Needs ansible-core 2.15 and python3-debian."},
	}
	if private {
		list = append(list, snippet{ID: "auth", Title: "The password file", Hint: "Reading takes a token. Keep the file readable by root only, with mode 0600."})
	}
	return list
}

// setup returns the texts by which a machine gets to use a publication, and warnings.
func (q *request) setup(place client.Place, private bool) (list []snippet, warnings []string, err error) {
	for _, s := range snippets(private) {
		got, err := client.Send(q.ctx, q.api, client.ShowSetup(place, s.ID))
		if err != nil {
			return nil, nil, fmt.Errorf("set-up for %s: %w", s.ID, err)
		}
		s.Text, s.File = got.Value.Text, got.Value.File
		list, warnings = append(list, s), got.Value.Warnings
	}
	return list, warnings, nil
}
