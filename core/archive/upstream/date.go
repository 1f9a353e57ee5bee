package upstream

import (
	"fmt"
	"time"
)

// dateLayouts are the accepted forms of Date and Valid-Until. apt 2.6 reads the
// first two with the zones GMT, UTC, Z and +0000. It reads the last two, without
// a zone or with GMT. aptly reads other numeric zones, too.
var dateLayouts = []string{
	"Mon, _2 Jan 2006 15:04:05 MST",   // RFC 1123
	"Mon, _2 Jan 2006 15:04:05 -0700", // RFC 1123 with a numeric zone
	"Mon, _2 Jan 2006 15:04:05 Z07:00",
	"Monday, 02-Jan-06 15:04:05 MST", // RFC 850
	time.ANSIC,                       // asctime
}

// ParseDate returns the time in a field of Release, zero if the field is absent.
// An error means that apt cannot read it.
func ParseDate(name string, fields map[string]string) (time.Time, error) {
	text, ok := fields[name]
	if !ok {
		return time.Time{}, nil
	}
	for _, layout := range dateLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		// time.Parse gives each unknown abbreviation the offset 0.
		if zone, offset := t.Zone(); offset == 0 && zone != "" && zone != "UTC" && zone != "GMT" && zone != "Z" {
			continue
		}
		return t.UTC(), nil
	}
	return time.Time{}, fmt.Errorf("unable to parse %s: %.100q is no date that apt reads", name, text)
}
