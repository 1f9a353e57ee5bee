package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// everyParams has a field of each type that bodies have.
type everyParams struct {
	Name     string `binding:"required"`
	Comment  *string
	Force    bool
	Deep     *bool
	Refs     []string
	WithDeps bool `json:"with-deps"`
	Sources  []struct{ Name string }
	Options  map[string]any
}

func bindRequest(method, contentType, query string, body []byte) *http.Request {
	r := httptest.NewRequest(method, "/", bytes.NewReader(body))
	r.URL.RawQuery = query
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func TestBindDecodesEachMediaType(t *testing.T) {
	const js, form, multi = "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
	part := func(name, value string) string {
		return fmt.Sprintf("--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n", name, value)
	}
	comment := func(s string) *string { return &s }
	for name, tc := range map[string]struct {
		contentType, query, body string
		want                     everyParams
	}{
		"exact":           {js, "", `{"Name":"a","Comment":"","Force":true,"Refs":[],"with-deps":true}`, everyParams{Name: "a", Comment: comment(""), Force: true, Refs: []string{}, WithDeps: true}},
		"capitalised":     {js, "", `{"NAME":"a","comment":"b","fOrCe":true,"With-Deps":true}`, everyParams{Name: "a", Comment: comment("b"), Force: true, WithDeps: true}},
		"unknown":         {js, "", `{"Name":"a","Batch":true,"Signing":{"x":[1]}}`, everyParams{Name: "a"}},
		"charset":         {js + "; charset=utf-8", "", `{"Name":"a"}`, everyParams{Name: "a"}},
		"null":            {js, "", `{"Name":"a","Comment":null,"Refs":null,"Force":null}`, everyParams{Name: "a"}},
		"twice":           {js, "", `{"Name":"a","name":"b"}`, everyParams{Name: "b"}},
		"trailing":        {js, "", `{"Name":"a"} trailing {`, everyParams{Name: "a"}},
		"query beside":    {js, "Name=b&Force=true", `{"Name":"a"}`, everyParams{Name: "a"}},
		"no type":         {"", "Name=a&Force=1", `{"Name":"b"}`, everyParams{Name: "a", Force: true}},
		"text":            {"text/plain", "Name=a", `Name=b`, everyParams{Name: "a"}},
		"form":            {form, "", "Name=a+b&Comment=%C3%BC&Refs=1&Refs=2&WithDeps=t&Deep=false", everyParams{Name: "a b", Comment: comment("ü"), Refs: []string{"1", "2"}, WithDeps: true, Deep: new(bool)}},
		"form and query":  {form, "Name=query&Comment=c", "Name=body", everyParams{Name: "body", Comment: comment("c")}},
		"form is exact":   {form, "", "Name=a&comment=b&with-deps=1", everyParams{Name: "a"}},
		"semicolon":       {form, "", "Name=a&x;y=1&Force=true", everyParams{Name: "a", Force: true}},
		"empty flag":      {form, "", "Name=a&Force=", everyParams{Name: "a"}},
		"multipart":       {multi, "Name=query", part(`name="Name"`, "a") + part(`name="Refs"`, "1") + part(`name="Refs"`, "2") + "--x--", everyParams{Name: "a", Refs: []string{"1", "2"}}},
		"multipart file":  {multi, "", part(`name="Name"`, "a") + part(`name="Comment"; filename="f"`, "x") + "--x--", everyParams{Name: "a"}},
		"control of utf8": {js, "", "{\"Name\":\"a\\u0000\\ud800\"}", everyParams{Name: "a\x00\ufffd"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got everyParams
			if err := Bind(bindRequest("POST", tc.contentType, tc.query, []byte(tc.body)), &got); err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
	const missing = "Key: 'everyParams.Name' Error:Field validation for 'Name' failed on the 'required' tag"
	for name, tc := range map[string]struct{ contentType, body, want string }{
		"nothing":      {js, "", "EOF"},
		"truncated":    {js, `{"Name":"a"`, "unexpected EOF"},
		"syntax":       {js, `x`, "invalid character 'x' looking for beginning of value"},
		"field":        {js, `{"Name":1}`, "json: cannot unmarshal number into Go struct field everyParams.Name of type string"},
		"in a list":    {js, `{"Name":"a","Refs":[{}]}`, "json: cannot unmarshal object into Go struct field everyParams.Refs of type string"},
		"array":        {js, `[]`, "json: cannot unmarshal array into Go value of type api.everyParams"},
		"null":         {js, `null`, missing},
		"empty":        {js, `{"Name":""}`, missing},
		"deep":         {js, `{"Options":` + strings.Repeat("[", maxDepth), fmt.Sprintf("JSON is nested more than %d deep", maxDepth)},
		"JSON as form": {form, `{"Name":"x"}`, missing + " (the body is JSON and its Content-Type is application/x-www-form-urlencoded: send application/json)"},
		"bool":         {form, "Name=a&Force=maybe", `strconv.ParseBool: parsing "maybe": invalid syntax`},
		"boundary":     {"multipart/form-data", "", "no multipart boundary param in Content-Type"},
		"no parts":     {multi, "", "multipart: NextPart: EOF"},
		"cut off":      {multi, part(`name="Name"`, "a"), "unexpected EOF"},
		"many parts":   {multi, strings.Repeat(part(`name="x"`, ""), maxParts+1) + "--x--", "multipart: message too large"},
	} {
		t.Run(name, func(t *testing.T) {
			var got everyParams
			err := Bind(bindRequest("POST", tc.contentType, "", []byte(tc.body)), &got)
			if binding := (*BindError)(nil); !errors.As(err, &binding) || err.Error() != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

// endless is a body without an end. It counts the bytes read.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read += int64(len(p))
	return len(p), nil
}

func TestBindStopsReadingALargeBody(t *testing.T) {
	for _, contentType := range []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		body := &endless{}
		r := httptest.NewRequest("POST", "/", body)
		r.Header.Set("Content-Type", contentType)
		var refusal *Error
		if err := Bind(r, &everyParams{}); !errors.As(err, &refusal) || refusal.Status != http.StatusRequestEntityTooLarge || body.read > 2*maxBody {
			t.Errorf("%s: %v after %d bytes", contentType, err, body.read)
		}
	}
}

// TestBindRefusesTypesThatOnlyAptlyReads also holds that an empty body of such a
// type is accepted.
func TestBindRefusesTypesThatOnlyAptlyReads(t *testing.T) {
	for _, contentType := range []string{"application/x-yaml", "text/xml; charset=utf-8", "application/x-msgpack"} {
		var refusal *Error
		if err := Bind(bindRequest("PUT", contentType, "Name=a", []byte("name: b")), &everyParams{}); !errors.As(err, &refusal) || refusal.Status != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %v", contentType, err)
		}
		if err := Bind(bindRequest("PUT", contentType, "Name=a", nil), &everyParams{}); err != nil {
			t.Errorf("%s, empty: %v", contentType, err)
		}
	}
}

func TestFlagsAndAsyncReadTheQueryAsAptly(t *testing.T) {
	for query, want := range map[string][3]bool{ // Flag(force), Async with the default false, with the default true
		"": {false, false, true}, "force=1": {true, false, true}, "force=true": {false, false, true}, "force=01": {false, false, true},
		"Force=1": {false, false, true}, "force=0&force=1": {false, false, true}, "force=1;x": {false, false, true},
		"_async": {false, true, true}, "_async=": {false, true, true}, "_async=No": {false, false, false}, "_async=off&force=1": {true, false, false},
		"_async=2": {false, true, true}, "_async=F": {false, false, false}, "forceReplace=1?noRemove=1": {false, false, true},
	} {
		r := bindRequest("GET", "", query, nil)
		if got := [3]bool{Flag(r, "force"), Async(r, false), Async(r, true)}; got != want {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
}

// FuzzBind decodes any body as any type. An error is a *BindError, and a decoded
// body has its required fields.
func FuzzBind(f *testing.F) {
	types := []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "", "a;b"}
	f.Add(uint8(0), "", []byte(`{"Name":"a","Refs":["x"],"Sources":[{"Name":"y"}],"Options":{"a":[null]}}`))
	f.Add(uint8(1), "Force=1", []byte("Name=a&Refs=b&Comment=c&Deep=1&Sources=x&Options=y"))
	f.Add(uint8(2), "", []byte("--x\r\nContent-Disposition: form-data; name=\"Name\"\r\n\r\na\r\n--x--"))
	f.Add(uint8(4), "Name=a%00&Force=", []byte{})
	f.Fuzz(func(t *testing.T, kind uint8, query string, body []byte) {
		contentType := types[int(kind)%len(types)]
		var got everyParams
		err := Bind(bindRequest("PUT", contentType, query, body), &got)
		var binding *BindError
		switch {
		case err != nil && !errors.As(err, &binding):
			t.Errorf("%q: %v", body, err)
		case err == nil && got.Name == "":
			t.Errorf("%q: nothing is required", body)
		case err == nil && contentType == "application/json":
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			var again everyParams
			if err := Bind(bindRequest("PUT", contentType, query, text), &again); err != nil || !reflect.DeepEqual(got.Refs, again.Refs) || got.Name != again.Name {
				t.Errorf("%+v becomes %+v, %v", got, again, err)
			}
		}
	})
}

// TestMislabelledJSONIsRefused holds that JSON with another Content-Type is refused.
// It is ignored if it is empty or if the query has the parameters.
func TestMislabelledJSONIsRefused(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, tc := range []struct{ contentType, query, body, want string }{
		{form, "", `{"Comment":"c"}`, "its Content-Type is " + form},
		{form, "", " \n[{\"Name\":\"a\"}]", "its Content-Type is " + form},
		{"", "", `{"Comment":"c"}`, "has no Content-Type"},
		{"text/plain", "", `{"Comment":"` + strings.Repeat("c", 2000) + `"}`, "its Content-Type is text/plain"},
		{"application/octet-stream", "", `{"Comment":"c"}`, "send application/json"},
		{form, "Comment=b", `{"Comment":"c"}`, ""},
		{"", "", `{}`, ""}, {"", "", ` [ ] `, ""}, {form, "", `{ }`, ""}, {"", "", `{`, ""}, {"", "", "", ""}, {form, "", "Comment=c", ""}, {"text/plain", "", "hello", ""},
	} {
		var v struct{ Comment string }
		err := Bind(bindRequest("PUT", tc.contentType, tc.query, []byte(tc.body)), &v)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s ?%s %.40s: %v, want %q", tc.contentType, tc.query, tc.body, err, tc.want)
		}
	}
}

// TestFormsHaveJSONForMapsAndObjects: a form says secrets of a mirror as JSON. Other
// text is refused without being shown.
func TestFormsHaveJSONForMapsAndObjects(t *testing.T) {
	type object struct{ User, Password string }
	type params struct {
		Name        string
		Headers     map[string]string
		Credentials *object
	}
	bind := func(body string) (p params, err error) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return p, Bind(r, &p)
	}
	var p params
	r := httptest.NewRequest("POST", "/", strings.NewReader(`Name=m&Headers={"X-A":"b"}&Credentials={"User":"u","Password":"p%26"}`))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := Bind(r, &p); err != nil || p.Name != "m" || p.Headers["X-A"] != "b" || p.Credentials == nil || *p.Credentials != (object{"u", "p&"}) {
		t.Errorf("%+v %v", p, err)
	}
	for _, field := range []string{"Headers", "Credentials"} {
		if _, err := bind(field + "=secret:x"); err == nil || err.Error() != field+" has to be JSON in a form" {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestUnknownFieldsAreNamed holds that the answer names a field that the parameters lack,
// and that a known one in another case is known.
func TestUnknownFieldsAreNamed(t *testing.T) {
	type params struct {
		Name    string
		Signing struct{ Skip bool }
	}
	for body, want := range map[string]string{
		`{"Name":"x","signing":{"skip":true}}`: "",
		`{"Name":"x","Distribtion":"s"}`:       `the body has the unknown field "Distribtion", which is ignored`,
		`{"Signing":{"Skp":true}}`:             `the body has the unknown field "Skp", which is ignored`,
		`{"a\r\nb":1}`:                         `the body has the unknown field "a\r\nb", which is ignored`,
	} {
		header := http.Header{}
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var p params
		if err := Bind(r.WithContext(context.WithValue(r.Context(), headerKey{}, header)), &p); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if got := header.Get("X-Warning"); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
