package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
)

// style is the style sheet of the page.
const style = `body{font:16px/1.5 sans-serif;max-width:60em;margin:auto;padding:1em}
summary{cursor:pointer}b{display:inline-block;width:4.5em}code,pre{font-family:monospace}
pre{background:#8882;padding:.5em;overflow:auto}`

// Styles returns the source of the page's styles, as a Content-Security-Policy names it.
func Styles() string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// page is the page for people. It needs no script and no other file.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.API.Title}}</title>
<meta name="viewport" content="width=device-width">
<style>` + style + `</style>
<h1>{{.API.Title}} {{.API.Version}}</h1><p>{{.API.Description}}
<p>For programs: <a href="{{.Document}}">{{.Document}}</a> (OpenAPI 3.1)
{{range .Groups}}<h2>{{.Tag}}</h2>
{{range .Operations}}<details><summary><b>{{.Method}}</b> <code>{{.Path}}</code> {{.Summary}}</summary>
{{with .Access}}<p>{{.}}{{end}}
{{with .Query}}<p>Query:<ul>{{range .}}<li><code>{{.Name}}</code> {{.About}}{{with .Absent}}. Default: {{.}}{{end}}{{end}}</ul>{{end}}
{{with .Body}}<p>Body:<pre>{{.}}</pre>{{end}}
{{range .Answers}}<p>{{.Status}} {{.About}}{{with .Body}}<pre>{{.}}</pre>{{end}}{{end}}
{{with .Errors}}<p>Errors:<ul>{{range .}}<li>{{.Status}} {{.About}}{{end}}</ul>{{end}}
</details>
{{end}}{{end}}`))

// Page returns the page for people; document is the path of the document.
func (a API) Page(document string) ([]byte, error) {
	type answer struct {
		Status      int
		About, Body string
	}
	type operation struct {
		Method, Path, Summary, Access, Body string
		Query                               []Param
		Answers                             []answer
		Errors                              []Answer
	}
	type group struct {
		Tag        string
		Operations []operation
	}
	b := builder{api: a, schemas: object{}}
	text := func(v any) string {
		if v == nil {
			return ""
		}
		return b.schemaText(v)
	}
	sent := func(v any) string {
		b.request = true
		defer func() { b.request = false }()
		return text(v)
	}
	var groups []group
	for _, tag := range a.Tags() {
		g := group{Tag: tag}
		for _, op := range a.Operations {
			if op.Tag != tag {
				continue
			}
			shown := operation{op.Method, op.Path, op.Summary, op.Access, sent(op.Body), op.Query, nil, op.Errors}
			for _, given := range op.Answers {
				shown.Answers = append(shown.Answers, answer{given.Status, given.About, text(given.Body)})
			}
			g.Operations = append(g.Operations, shown)
		}
		groups = append(groups, g)
	}
	var out bytes.Buffer
	err := page.Execute(&out, struct {
		API      API
		Document string
		Groups   []group
	}{a, document, groups})
	return out.Bytes(), err
}
