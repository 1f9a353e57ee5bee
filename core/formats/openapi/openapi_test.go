package openapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

type base struct {
	Name string `binding:"required"`
}

type body struct {
	base
	Kind    string         `enum:"local snapshot" about:"kind of the sources"`
	Of      base           `about:"a reference"`
	Renamed *bool          `json:"re-named"`
	Hidden  string         `json:"-"`
	List    []base         `json:",omitempty"`
	Map     map[string]int `json:"map"`
	At      time.Time
	Raw     json.RawMessage
	private string
}

// TestSchema compares schemas with encoding/json.
func TestSchema(t *testing.T) {
	a := API{Title: "T", Version: "1", Error: struct{}{}, Name: func(t reflect.Type) string {
		if t == reflect.TypeFor[base]() {
			return "base"
		}
		return ""
	}}
	a.Operations = []Operation{{Method: "POST", Path: "/a/{b}/c.{d}", ID: "x", Body: body{private: "p"}, Answers: []Answer{{Status: 201, Body: base{}}}}}
	data, err := a.Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	op := doc["paths"].(map[string]any)["/a/{b}/c.{d}"].(map[string]any)["post"].(map[string]any)
	schema := op["requestBody"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)["schema"]
	got, _ := json.Marshal(schema)
	const want = `{"properties":{"At":{"format":"date-time","type":"string"},` +
		`"Kind":{"description":"kind of the sources","enum":["local","snapshot"],"type":"string"},"List":{"items":{"$ref":"#/components/schemas/base"},"type":["array","null"]},` +
		`"Name":{"type":"string"},"Of":{"$ref":"#/components/schemas/base","description":"a reference"},"Raw":{},"map":{"additionalProperties":{"type":"integer"},"type":["object","null"]},"re-named":{"type":"boolean"}},"required":["Name"],"type":"object"}`
	if string(got) != want {
		t.Errorf("%s", got)
	}
	if n := len(op["parameters"].([]any)); n != 2 {
		t.Errorf("%d parameters", n)
	}
	again, err := a.Document()
	if err != nil || string(again) != string(data) {
		t.Errorf("the second time it is another document: %v", err)
	}
	page, err := a.Page("/doc.json")
	if err != nil || !strings.Contains(string(page), "Name {&#34;type&#34;:&#34;string&#34;} required") {
		t.Errorf("%v\n%s", err, page)
	}
	if want := "Kind {&#34;enum&#34;:[&#34;local&#34;,&#34;snapshot&#34;],&#34;type&#34;:&#34;string&#34;}\n    kind of the sources\n"; !strings.Contains(string(page), want) {
		t.Errorf("no %s in\n%s", want, page)
	}
	a.Operations = append(a.Operations, a.Operations[0])
	if _, err := a.Document(); err == nil {
		t.Error("an operation is described twice")
	}
}
