package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
)

// remedy is a sentence for the texts of errors that match a pattern. $1 is a group of the
// pattern.
type remedy struct {
	pattern *regexp.Regexp
	text    string
}

// remedies are tried in order. The texts of errors are aptly's, which clients compare.
func remedies() []remedy {
	return []remedy{
		{regexp.MustCompile(`^prefix/distribution already used|^unable to publish: prefix/distribution already used`),
			"the publication exists: PUT /api/publish/<prefix>/<distribution> publishes the present packages; the prefix . is written :."},
		{regexp.MustCompile(`file already exists and is different`),
			`two packages have one file name: send "ForceOverwrite": true, or create the publication with "PoolLayout": "hash"`},
		{regexp.MustCompile(`unable to figure out list of architectures`), `no package has an architecture of its own: send "Architectures": ["amd64"]`},
		{regexp.MustCompile(`unable to guess distribution name`), `send "Distribution": "stable", or set DefaultDistribution of the repository`},
		{regexp.MustCompile(`published repo with storage:prefix/distribution (\S+) not found`), "GET /api/publish lists the publications; in a path the prefix . is written :., and a slash _"},
		{regexp.MustCompile(`parsing failed: unexpected token`), "a query is, for example, hello (>= 1.0), $$Architecture (amd64) | Name (% lib*)"},
		{regexp.MustCompile(`^wrong (dir|file)$`), "the name of a $1 has no .. and is not only dots"},
		{regexp.MustCompile(`^strconv\.ParseInt: parsing (".*?")`), "the number of a task is digits, and $1 is none: GET /api/tasks lists the tasks"},
		{regexp.MustCompile(`^request Content-Type isn't multipart/form-data`), "send files as a form, as curl -F file=@hello.deb does, or one file by PUT /api/files/<dir>/<file>"},
		{regexp.MustCompile(`is not allowed by --allow-upstream`), "the address is not public: serve --allow-upstream=HOST allows it"},
	}
}

// hintOf returns a remedy for an error of a handler or task in plain words, "" for none.
func hintOf(err error) string {
	text := err.Error()
	for _, r := range remedies() {
		if at := r.pattern.FindStringSubmatchIndex(text); at != nil {
			return string(r.pattern.ExpandString(nil, r.text, text, at))
		}
	}
	return ""
}

// jsonHint says in plain words why JSON was not decoded.
func jsonHint(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return "the body is empty: send JSON"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the body ends within its JSON"
	case errors.As(err, &wrong) && wrong.Field == "":
		return "the body has to be " + jsonKind(wrong.Type) + ", and is " + article(wrong.Value)
	case errors.As(err, &wrong):
		return wrong.Field + " has to be " + jsonKind(wrong.Type) + ", and is " + article(wrong.Value)
	}
	return "the body is not JSON"
}

// jsonKind returns the word of JSON for a type.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	}
	return "a number"
}

// article adds an article to a word of encoding/json for a value. A number may have its text
// added: "number 1.5".
func article(value string) string {
	word, _, _ := strings.Cut(value, " ")
	switch word {
	case "array":
		return "a list"
	case "bool":
		return "true or false"
	case "object":
		return "an object"
	}
	return "a " + word
}

// lacksFile adds a warning to the answer of an upload without files.
func lacksFile(h http.Header) {
	h.Set("X-Warning", "the form has no file: curl needs an @ before its name, as -F file=@hello.deb")
}
