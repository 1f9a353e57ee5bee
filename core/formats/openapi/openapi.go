package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// API describes an API.
type API struct {
	Title, Version, Description string
	Operations                  []Operation
	Schemes                     []Scheme // each is enough for an operation that is not public

	// Name returns the name of a type's schema. A schema named "" is written where
	// it is used.
	Name func(reflect.Type) string
	// Meanings are texts of fields without the tag "about": by "Schema.field", or by the
	// field's name alone. Those of parameters of paths are by "{name}".
	Meanings map[string]Meaning
	// Defaults say the value of an optional field of a request that is absent, in words: by
	// "Schema.field", or by the field's name alone. A boolean or a number of a Go type that
	// is no pointer is false or 0, and needs no entry.
	Defaults map[string]string
	// Error is the body of error answers.
	Error any
}

// Operation is a method on a path.
type Operation struct {
	Method, Path string // such as "/api/repos/{name}"
	Tag, ID      string
	Summary      string
	Query        []Param
	Body         any    // a value of the body's type; nil without a body
	Media        string // of the body; "application/json" if empty
	Answers      []Answer
	Errors       []Answer // refusals and failures; the body is that of the API's Error

	Public bool     // needs no credentials
	Access string   // a sentence on the permissions that it needs; may be empty
	Needs  []string // these permissions, as the extension x-needs
}

// Scheme is a way to send credentials.
type Scheme struct {
	Name, Kind string // Kind is a scheme of HTTP: "bearer" or "basic"
	About      string
}

// Param is a parameter of the query.
type Param struct {
	Name, About string
	Values      []string // allowed values; nil for any
	Default     string   // the effect of its absence in words; "off" of a flag needs no text
}

// Absent says the effect of the absence of the parameter. It is "" if nothing is known.
func (p Param) Absent() string {
	if p.Default == "" && len(p.Values) == 1 {
		return "off"
	}
	return p.Default
}

// Answer describes the answer with one status.
type Answer struct {
	Status int
	About  string
	Body   any    // a value of the body's type; nil without a body
	Media  string // "application/json" if empty

	Example any // of the body; nil for none
}

// Meaning is the text of a field or parameter.
type Meaning struct {
	About   string
	Example any // nil for none
}

type object = map[string]any

// Document returns the document, as JSON.
func (a API) Document() ([]byte, error) {
	b := builder{api: a, schemas: object{}}
	paths := map[string]object{}
	for _, op := range a.Operations {
		if paths[op.Path] == nil {
			paths[op.Path] = object{}
		}
		method := strings.ToLower(op.Method)
		if _, twice := paths[op.Path][method]; twice {
			return nil, fmt.Errorf("%s %s is described twice", op.Method, op.Path)
		}
		paths[op.Path][method] = b.operation(op)
	}
	doc := object{
		"openapi":    "3.1.0",
		"info":       object{"title": a.Title, "version": a.Version, "description": a.Description},
		"paths":      paths,
		"components": object{"schemas": b.schemas},
	}
	if len(a.Schemes) > 0 {
		kinds, enough := object{}, []object{}
		for _, s := range a.Schemes {
			kinds[s.Name] = object{"type": "http", "scheme": s.Kind, "description": s.About}
			enough = append(enough, object{s.Name: []string{}})
		}
		doc["components"], doc["security"] = object{"schemas": b.schemas, "securitySchemes": kinds}, enough
	}
	return json.MarshalIndent(doc, "", " ")
}

// builder collects the schemas that operations refer to.
type builder struct {
	api     API
	schemas object
	request bool // the schemas are of a request
}

func (b *builder) operation(op Operation) object {
	o := object{"operationId": op.ID, "summary": op.Summary, "tags": []string{op.Tag}}
	if op.Access != "" {
		o["description"] = op.Access
	}
	if op.Needs != nil {
		o["x-needs"] = op.Needs
	}
	if op.Public {
		o["security"] = []object{}
	}
	var params []object
	for _, name := range PathParams(op.Path) {
		param := object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}}
		b.api.Meanings["{"+name+"}"].describe(param)
		params = append(params, param)
	}
	for _, q := range op.Query {
		schema := object{"type": "string"}
		if q.Values != nil {
			schema["enum"] = q.Values
		}
		params = append(params, object{"name": q.Name, "in": "query", "description": withDefault(q.About, q.Absent()), "schema": schema})
	}
	if params != nil {
		o["parameters"] = params
	}
	if op.Body != nil {
		b.request = true
		o["requestBody"] = object{"content": b.content(op.Media, op.Body)}
		b.request = false
	}
	answers := object{"default": object{"description": "an error", "content": b.content("", b.api.Error)}}
	for _, answer := range op.Answers {
		described := object{"description": answer.About}
		if described["description"] == "" {
			described["description"] = "success"
		}
		if answer.Body != nil {
			described["content"] = b.content(answer.Media, answer.Body)
		}
		answers[strconv.Itoa(answer.Status)] = described
	}
	for _, failure := range op.Errors {
		content := b.content(failure.Media, b.api.Error)
		if failure.Example != nil {
			for _, media := range content {
				media.(object)["example"] = failure.Example
			}
		}
		answers[strconv.Itoa(failure.Status)] = object{"description": failure.About, "content": content}
	}
	o["responses"] = answers
	return o
}

func (b *builder) content(media string, body any) object {
	if media == "" {
		media = "application/json"
	}
	return object{media: object{"schema": b.schema(reflect.TypeOf(body))}}
}

// PathParams returns the names of the parameters of a path.
func PathParams(path string) []string {
	var names []string
	for segment := range strings.SplitSeq(path, "/") {
		if _, name, ok := strings.Cut(segment, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// Binary is the type of file bodies.
type Binary struct{}

// Form is the type of multipart forms with files.
type Form struct{}

// Any is the type of unrestricted bodies.
type Any struct{}

// schema returns the schema of a type, or a reference to it.
func (b *builder) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Binary]():
		return object{"type": "string", "format": "binary"}
	case reflect.TypeFor[Form]():
		return object{"type": "object", "additionalProperties": object{"type": "string", "format": "binary"}}
	case reflect.TypeFor[Any](), reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	if t.Kind() == reflect.Struct {
		return b.structure(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.schema(t.Elem())
	case reflect.Slice, reflect.Array:
		return object{"type": []string{"array", "null"}, "items": b.schema(t.Elem())}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": b.schema(t.Elem())}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	}
	return object{}
}

// structure returns the schema of a struct, or a reference to it if it has a name.
func (b *builder) structure(t reflect.Type) object {
	name := b.api.Name(t)
	if name != "" {
		if _, ok := b.schemas[name]; ok {
			return object{"$ref": "#/components/schemas/" + name}
		}
		b.schemas[name] = nil // a type may refer to itself
	}
	properties, required := object{}, []string{}
	b.fields(t, name, properties, &required)
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	if name == "" {
		return schema
	}
	b.schemas[name] = schema
	return object{"$ref": "#/components/schemas/" + name}
}

// fields adds the fields of a struct of a schema as encoding/json sees them.
func (b *builder) fields(t reflect.Type, schema string, properties object, required *[]string) {
	for f := range fieldsOf(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && name == "" {
			b.fields(f.Type, schema, properties, required)
			continue
		}
		if name == "" {
			name = f.Name
		}
		property := described(b.schema(f.Type), f.Tag)
		if property["description"] == nil {
			m, ok := b.api.Meanings[schema+"."+name]
			if !ok {
				m = b.api.Meanings[name]
			}
			m.describe(property)
		}
		properties[name] = property
		switch {
		case strings.Contains(f.Tag.Get("binding"), "required"):
			*required = append(*required, name)
		case b.request:
			b.absent(property, f.Type, schema, name)
		}
	}
}

// absent adds the default of an optional field to its schema.
func (b *builder) absent(property object, t reflect.Type, schema, name string) {
	words, ok := b.api.Defaults[schema+"."+name]
	if !ok && t.Kind() == reflect.Bool {
		property["default"] = false
		return
	}
	if !ok && property["type"] == "integer" && t.Kind() != reflect.Pointer {
		property["default"] = 0
		return
	}
	if !ok {
		words = b.api.Defaults[name]
	}
	about, _ := property["description"].(string)
	if text := withDefault(about, words); text != "" {
		property["description"] = text
	}
}

// withDefault adds a sentence on the default to a text.
func withDefault(about, words string) string {
	if words == "" {
		return about
	}
	return strings.TrimSuffix(about, ".") + ". Default: " + words
}

// described adds to a field's schema the text of its tag "about" and the values of its
// tag "enum", which blanks separate.
func described(schema object, tag reflect.StructTag) object {
	if about := tag.Get("about"); about != "" {
		schema["description"] = about
	}
	if values := strings.Fields(tag.Get("enum")); len(values) > 0 {
		schema["enum"] = values
	}
	return schema
}

// describe adds a meaning to a schema or parameter.
func (m Meaning) describe(to object) {
	if m.About != "" {
		to["description"] = m.About
	}
	if m.Example != nil {
		to["example"] = m.Example
	}
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// Tags returns the operations' tags in order of first use.
func (a API) Tags() []string {
	var tags []string
	seen := map[string]bool{}
	for _, op := range a.Operations {
		if !seen[op.Tag] {
			seen[op.Tag] = true
			tags = append(tags, op.Tag)
		}
	}
	return tags
}

// schemaText lists the fields of a body's type, each with its type and its text.
func (b *builder) schemaText(v any) string {
	schema := b.schema(reflect.TypeOf(v))
	if ref, ok := schema["$ref"].(string); ok {
		schema, _ = b.schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(object)
	}
	properties, _ := schema["properties"].(object)
	if properties == nil {
		text, _ := json.Marshal(schema)
		return string(text)
	}
	required, _ := schema["required"].([]string)
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property, _ := properties[name].(object)
		property = maps.Clone(property)
		about, _ := property["description"].(string)
		delete(property, "description")
		text, _ := json.Marshal(property)
		line := name + " " + string(text)
		if slices.Contains(required, name) {
			line += " required"
		}
		if about != "" {
			line += "\n    " + about
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
