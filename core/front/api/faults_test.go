package api_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
)

// schema is a part of the description of a body.
type schema struct {
	Description string
	Default     any
	Ref         string `json:"$ref"`
	Properties  map[string]schema
	Required    []string
	Items       *schema
	Additional  *schema `json:"additionalProperties"`
}

// operation is a described operation.
type operation struct {
	Parameters []struct {
		Name, In, Description string
		Required              bool
	}
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
	Security  *[]any
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Example map[string]string }
	}
}

// described reads the description that a process serves.
func described(t *testing.T, p *apptest.Process) (operations map[string]operation, schemas map[string]schema) {
	t.Helper()
	w := httptest.NewRecorder()
	p.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/api/openapi.json", nil))
	var doc struct {
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	operations = map[string]operation{}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			operations[strings.ToUpper(method)+" "+path] = o
		}
	}
	return operations, doc.Components.Schemas
}

// TestEveryOperationHasItsErrors sends bad requests to each operation of a closed server. An
// answer with an error has to be described. Whether credentials are needed has to be true.
func TestEveryOperationHasItsErrors(t *testing.T) {
	m, root := drivertest.NewMemory(time.Now), auth.NewSecret(auth.API)
	p := apptest.New(t, apptest.On(m), func(c *app.Config) { c.Auth = &app.Auth{Closed: true, Environment: auth.Digest(root)} })
	p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 4) })
	operations, _ := described(t, p)
	if len(operations) < 100 {
		t.Fatalf("%d operations", len(operations))
	}
	hints := 0
	for _, at := range slices.Sorted(maps.Keys(operations)) {
		o := operations[at]
		for status, answer := range o.Responses {
			if answer.Description == "" {
				t.Errorf("%s: %s has no text", at, status)
			}
			for _, c := range answer.Content {
				if c.Example["hint"] != "" {
					hints++
				}
			}
		}
		method, path, _ := strings.Cut(at, " ")
		send := func(token, media, body string) int {
			r := httptest.NewRequestWithContext(p.Ctx, method, regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "9"), strings.NewReader(body))
			r.Header.Set("Content-Type", media)
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			w := httptest.NewRecorder()
			p.Handler.ServeHTTP(w, r)
			if _, told := o.Responses[strconv.Itoa(w.Code)]; w.Code >= 400 && !told {
				t.Errorf("%s answers %d, which is not described: %s", at, w.Code, w.Body)
			}
			return w.Code
		}
		public := o.Security != nil && len(*o.Security) == 0
		if status := send("", "application/json", "{}"); (status == 401) == public && path != "/api/auth/oidc/token" {
			t.Errorf("%s without credentials: %d, although it is described as public: %t", at, status, public)
		}
		for _, body := range []string{"", "{", "{}", "[]", `{"Name":5}`, `{"Name":"9","Sources":[{"Name":"9","Component":"c"}],"SourceKind":"local","Queries":["a"]}`} {
			send(root, "application/json", body)
		}
		// Some operations look for the objects of the path before they read the body.
		status := send(root, "application/xml", "<a/>")
		if _, told := o.Responses["415"]; (status == 415) != told && status != 404 && status != 400 {
			t.Errorf("%s answers %d to XML, and 415 is described: %t", at, status, told)
		}
	}
	if hints < 50 {
		t.Errorf("%d examples have a hint", hints)
	}
}

// TestEveryOptionalParameterHasItsDefault holds that the description of each optional
// parameter and field of a request has a default, or says that there is none.
func TestEveryOptionalParameterHasItsDefault(t *testing.T) {
	p := apptest.New(t, apptest.On(drivertest.NewMemory(time.Now)))
	operations, schemas := described(t, p)
	var walk func(at string, s schema, told bool)
	walk = func(at string, s schema, told bool) {
		if !told && s.Default == nil && !strings.Contains(s.Description, "Default: ") {
			t.Errorf("%s: no default", at)
		}
		if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
			of := schemas[name]
			s.Properties, s.Required = of.Properties, of.Required
		}
		for name, property := range s.Properties {
			walk(at+"."+name, property, slices.Contains(s.Required, name))
		}
		for _, below := range []*schema{s.Items, s.Additional} {
			if below != nil {
				walk(at, *below, true)
			}
		}
	}
	fields := 0
	for at, o := range operations {
		for _, param := range o.Parameters {
			if fields++; param.In == "query" && !strings.Contains(param.Description, "Default: ") {
				t.Errorf("%s: the parameter %s has no default", at, param.Name)
			}
		}
		for media, c := range o.RequestBody.Content {
			if media == "application/json" {
				walk(at, c.Schema, true)
			}
		}
	}
	if fields < 100 {
		t.Errorf("%d parameters", fields)
	}
}
