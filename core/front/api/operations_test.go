package api

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"aptless/core/formats/openapi"
)

// described returns the description of all routes.
func described() openapi.API {
	s := &Server{Version: "1", Log: slog.New(slog.DiscardHandler), Tree: &Tree{}, Metrics: NewMetrics(prometheus.NewRegistry(), "1")}
	return s.Handler().(*Router).description("1")
}

// TestOperations holds that the described operations and the served routes are the
// same.
func TestOperations(t *testing.T) {
	s := &Server{Version: "1", Log: slog.New(slog.DiscardHandler), Tree: &Tree{}, Metrics: NewMetrics(prometheus.NewRegistry(), "1")}
	served := map[string]bool{}
	for _, ro := range s.Handler().(*Router).routes {
		path := strings.Join(ro.segments, "/")
		if strings.HasPrefix(path, "/api/") {
			served[ro.method+" "+path] = true
		}
	}
	described := map[string]bool{}
	for _, op := range operations() {
		described[op.Method+" "+op.Path] = true
	}
	for _, route := range slices.Sorted(maps.Keys(served)) {
		if !described[route] {
			t.Errorf("%s is not described", route)
		}
	}
	for _, route := range slices.Sorted(maps.Keys(described)) {
		if !served[route] {
			t.Errorf("%s is described and not served", route)
		}
	}
}

// TestDocument holds that the document is usable. Its references resolve, operation
// IDs are unique, and each path parameter is declared.
func TestDocument(t *testing.T) {
	data, err := described().Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI string
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
			Tags        []string
			Parameters  []struct{ Name, In string }
			Responses   map[string]struct{ Description string }
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Title == "" || doc.Info.Version != "1" || len(doc.Paths) < 40 {
		t.Errorf("%s %+v, %d paths", doc.OpenAPI, doc.Info, len(doc.Paths))
	}
	ids := map[string]string{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			at := method + " " + path
			if other, taken := ids[op.OperationID]; taken || op.OperationID == "" {
				t.Errorf("%s and %s are both %q", at, other, op.OperationID)
			}
			ids[op.OperationID] = at
			if op.Summary == "" || len(op.Tags) != 1 || len(op.Responses) < 2 {
				t.Errorf("%s: %+v", at, op)
			}
			var names []string
			for _, p := range op.Parameters {
				if p.In == "path" {
					names = append(names, p.Name)
				}
			}
			if !slices.Equal(names, openapi.PathParams(path)) {
				t.Errorf("%s has the parameters %q", at, names)
			}
		}
	}
	refer(t, doc.Components.Schemas, "", mustDecode(t, data))
	for _, name := range []string{"api.sourceParams", "api.repoCreateParams", "deb.PublishedRepo", "deb.LocalRepo", "deb.RemoteRepo", "deb.Snapshot", "task.Task"} {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
	page, err := described().Page("/docs/doc.json")
	if err != nil || !strings.Contains(string(page), "/api/publish/{prefix}/{distribution}") || strings.Contains(string(page), "<script") {
		t.Errorf("%v\n%.1000s", err, page)
	}
}

func mustDecode(t *testing.T, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// refer checks that every reference below v resolves.
func refer(t *testing.T, schemas map[string]any, at string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			name, ok := strings.CutPrefix(ref, "#/components/schemas/")
			if !ok || schemas[name] == nil {
				t.Errorf("%s refers to %s", at, ref)
			}
		}
		for name, below := range v {
			refer(t, schemas, at+"/"+name, below)
		}
	case []any:
		for _, below := range v {
			refer(t, schemas, at, below)
		}
	}
}

// TestEverythingHasAMeaning holds that each field and each parameter of the description has a
// sentence, and that each sentence of the table is used.
func TestEverythingHasAMeaning(t *testing.T) {
	api := described()
	data, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	walkDescription(t, "", document)
	for key, meaning := range api.Meanings {
		text, err := json.Marshal(meaning.About)
		if err != nil {
			t.Fatal(err)
		}
		begin := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte(`"`)), []byte("."))
		if !bytes.Contains(data, begin) {
			t.Errorf("the meaning of %s is not used", key)
		}
	}
}

// walkDescription reports the fields and parameters without a text below a value of JSON.
func walkDescription(t *testing.T, at string, value any) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			walkDescription(t, at, element)
		}
	case map[string]any:
		if _, parameter := value["in"].(string); parameter && value["description"] == nil {
			t.Errorf("%s: the parameter %v has no meaning", at, value["name"])
		}
		properties, _ := value["properties"].(map[string]any)
		for name, property := range properties {
			if p, ok := property.(map[string]any); ok && p["description"] == nil {
				t.Errorf("%s: the field %s has no meaning", at, name)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			walkDescription(t, at+"/"+key, value[key])
		}
	}
}
