package layout

import (
	"net/url"
	"testing"
)

// TestTermsWriteQueries: no character of a value is a part of the query language.
func TestTermsWriteQueries(t *testing.T) {
	for address, want := range map[string]string{
		"":                               ``,
		"name=+&version=":                ``,
		"name=hello":                     `Name (= "hello")`,
		"name=*-dev&architecture=amd64":  `Name (% "*-dev"), $Architecture (= "amd64")`,
		"version=%3E%3D+2.0":             `$Version (>= "2.0")`,
		"version=1%3A2%2Bb1~rc":          `$Version (= "1:2+b1~rc")`,
		"version=%3C%3C3":                `$Version (<< "3")`,
		"maintainer=Some+Body":           `Maintainer (% "*Some Body*")`,
		`section=a"),+Name+("b`:          `Section (= "a\"), Name (\"b")`,
		`depends=back\slash`:             `Depends (% "*back\\slash*")`,
		"q=x&name=libgreeting1&other=no": `Name (= "libgreeting1")`,
	} {
		values, err := url.ParseQuery(address)
		if err != nil {
			t.Fatal(err)
		}
		fields, got := Terms(values)
		if got != want || len(fields) != len(terms) {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
