package client

import (
	"strings"
	"time"
)

// PublicationDetails is a publication with the fields that only aptless has.
type PublicationDetails struct {
	Publication
	Generation  int64
	Date        time.Time // of the Release file
	ValidUntil  time.Time // zero is for ever
	NumPackages int
	SignedBy    string
	Private     bool // reading its files takes credentials
}

// Place returns the name of the publication.
func (p Publication) Place() Place {
	prefix := p.Prefix
	if p.Storage != "" {
		prefix = p.Storage + ":" + prefix
	}
	return Place{prefix, p.Distribution}
}

// ListPublicationDetails asks for all publications, with the fields of aptless.
func ListPublicationDetails() Call[[]PublicationDetails] {
	return get[[]PublicationDetails](at("publish")).With("format", "details")
}

// ShowPublicationDetails asks for a publication, with the fields of aptless.
func ShowPublicationDetails(p Place) Call[PublicationDetails] {
	return get[PublicationDetails](p.path()).With("format", "details")
}

// ListPublished asks for whole packages that a publication has now, by component. Each
// has its component in the field Component. aptly has no such call.
func ListPublished(p Place) Call[[]map[string]string] {
	return get[[]map[string]string](p.path("packages")).With("format", "details")
}

// Segments returns the prefix and the distribution as segments of a path. ParsePlace
// reads them.
func (p Place) Segments() (prefix, distribution string) {
	return segment(p.Prefix), segment(p.Distribution)
}

// ParsePlace reads segments of a path.
func ParsePlace(prefix, distribution string) Place {
	p := Place{words(prefix), words(distribution)}
	if p.Prefix == ":." {
		p.Prefix = "."
	}
	return p
}

// words reads the form of segment: "_" is a slash and "__" an underscore.
func words(s string) string {
	parts := strings.Split(s, "__")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "_", "/")
	}
	return strings.Join(parts, "_")
}

// Setup is a text by which a machine gets to use a publication.
type Setup struct {
	For, Text, File string
	Warnings        []string
}

// ShowSetup asks for a text by which a machine gets to use a publication.
func ShowSetup(p Place, variant string) Call[Setup] {
	return get[Setup](p.path("setup")).With("for", variant)
}
