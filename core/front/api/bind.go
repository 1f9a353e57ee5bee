package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Bounds of JSON: its nesting, and its values. A value takes some 100 bytes of memory where
// its text has 3, as in a list of empty objects.
const (
	maxDepth  = 64
	maxInJSON = 1 << 18
)

// Query returns the first value of a query parameter. A pair that contains a raw
// semicolon is ignored, as net/url does.
func Query(r *http.Request, name string) string { return queryValues(r).Get(name) }

func queryValues(r *http.Request) url.Values {
	values, _ := url.ParseQuery(r.URL.RawQuery) // a malformed pair does not spoil the others
	return values
}

// Flag reports whether a query parameter is exactly "1".
func Flag(r *http.Request, name string) bool { return Query(r, name) == "1" }

// Async reports whether the request is answered before its task has run. def is the
// result for a request without _async.
func Async(r *http.Request, def bool) bool {
	values := queryValues(r)
	if !values.Has("_async") {
		return def
	}
	switch strings.ToLower(values.Get("_async")) {
	case "n", "no", "f", "false", "0", "off":
		return false
	}
	return true
}

// Bind decodes the parameters of a request into the struct that v points to. A body
// of JSON is decoded by its Content-Type; otherwise form fields of the body and the
// query string are. Fields tagged `binding:"required"` must not be empty. The error
// is a *BindError, or an *Error if the body is too large or of an unsupported type.
func Bind(r *http.Request, v any) error {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	unread := "" // the reason why a body of JSON is ignored
	switch media {
	case "application/json":
		err = bindJSON(r, v)
	case "application/x-www-form-urlencoded":
		values := queryValues(r)
		if r.Method == http.MethodPost || r.Method == http.MethodPut {
			body, readErr := readBody(r)
			if readErr != nil {
				return readErr
			}
			unread = mislabelledJSON(media, body)
			fields, _ := url.ParseQuery(string(body))
			for name, list := range values { // values of the body come before values of the query
				fields[name] = append(fields[name], list...)
			}
			values = fields
		}
		err = bindForm(values, v)
	case "multipart/form-data":
		values, formErr := multipartValues(r)
		if formErr != nil {
			return formErr
		}
		err = bindForm(values, v)
	default:
		begin, refusal := refuseUnsupported(media, r.Body)
		if refusal != nil {
			return refusal
		}
		unread = mislabelledJSON(media, begin)
		err = bindForm(queryValues(r), v)
	}
	if err != nil {
		return err
	}
	if lacks := required(v); lacks != nil { // a nil *BindError is no nil error
		err = lacks
	}
	if unread == "" || err == nil && r.URL.RawQuery != "" {
		return err
	}
	const hint = "send the header Content-Type: application/json"
	if err != nil {
		unread = err.Error() + " (" + unread + ")"
	}
	return &BindError{unread, hint}
}

// mislabelledJSON returns the reason why a body that looks like JSON is ignored. It
// returns "" for other bodies and for an empty object or array. body may be a prefix.
func mislabelledJSON(media string, body []byte) string {
	text := bytes.TrimSpace(body)
	if len(text) < 2 || text[0] != '{' && text[0] != '[' {
		return ""
	}
	if next := bytes.TrimSpace(text[1:]); len(next) == 0 || next[0] == '}' || next[0] == ']' {
		return ""
	}
	if media == "" {
		return "the body is JSON and has no Content-Type: send application/json"
	}
	return "the body is JSON and its Content-Type is " + media + ": send application/json"
}

// unsupportedTypes are the media types that aptly decodes and this API does not. No
// known client sends them.
var unsupportedTypes = []string{"application/xml", "text/xml", "application/x-yaml", "application/yaml", "application/toml",
	"application/x-msgpack", "application/msgpack", "application/x-protobuf"}

// maxPeek bounds the part of an ignored body that is examined, in bytes.
const maxPeek = 512

// refuseUnsupported refuses a body of an unsupported type. Ignoring the body would
// report success for an operation without its parameters. For another type it
// returns the beginning of the body.
func refuseUnsupported(media string, body io.Reader) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	begin := make([]byte, maxPeek)
	n, _ := io.ReadFull(body, begin)
	if n > 0 && slices.Contains(unsupportedTypes, media) {
		return nil, Errorf(http.StatusUnsupportedMediaType, "a request body of the type %s is not read: send application/json", media)
	}
	return begin[:n], nil
}

// multipartValues returns the fields of a form that are not files. Values of one
// field keep the order in which they were sent.
func multipartValues(r *http.Request) (url.Values, error) {
	data, err := readBody(r)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	form, err := r.MultipartReader()
	if err != nil {
		return nil, &BindError{err.Error(), ""}
	}
	values := url.Values{}
	for parts := 0; ; parts++ {
		part, err := form.NextPart()
		if err == io.EOF { // a wrapped io.EOF means that the form is truncated
			return values, nil
		}
		if err == nil && parts >= maxParts {
			err = multipart.ErrMessageTooLarge
		}
		if err != nil {
			return nil, &BindError{err.Error(), ""}
		}
		if part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, &BindError{err.Error(), ""}
		}
		values.Add(part.FormName(), string(value))
	}
}

func bindJSON(r *http.Request, v any) error {
	data, err := readBody(r)
	if err != nil {
		return err
	}
	if err = decodeJSON(data, v); errors.As(err, new(*BindError)) {
		return err
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		noteUnknown(r, data, v)
		return nil
	case errors.As(err, &wrong) && wrong.Field == "":
		return &BindError{fmt.Sprintf("json: cannot unmarshal %s into Go value of type %s", wrong.Value, wrong.Type), jsonHint(err)}
	}
	return &BindError{err.Error(), jsonHint(err)}
}

// headerKey is the key of the context for the header of the answer.
type headerKey struct{}

// maxNoted bounds the bodies in which unknown fields are looked for, and maxNote the text of
// a warning, in bytes.
const (
	maxNoted = 64 << 10
	maxNote  = 200
)

// noteUnknown adds the header X-Warning to the answer if the body has a field that the
// parameters do not have. aptly ignores such a field without a word.
func noteUnknown(r *http.Request, data []byte, v any) {
	header, ok := r.Context().Value(headerKey{}).(http.Header)
	if !ok || len(data) > maxNoted {
		return
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(reflect.New(reflect.TypeOf(v).Elem()).Interface())
	if err == nil {
		return
	}
	if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
		header.Set("X-Warning", fmt.Sprintf("the body has the unknown field %.*s, which is ignored", maxNote, field))
	}
}

// decodeJSON decodes the first value of a text. It has to keep to the bounds of JSON.
func decodeJSON(data []byte, v any) error {
	end, err := firstJSON(data)
	if err != nil {
		return err
	}
	if end == 0 {
		return json.NewDecoder(bytes.NewReader(data)).Decode(v)
	}
	return json.Unmarshal(data[:end], v) // a Decoder would copy the text
}

// leadingSpace returns the number of bytes before the first value of JSON.
func leadingSpace(data []byte) int { return len(data) - len(bytes.TrimLeft(data, " \t\r\n")) }

// firstJSON returns the end of the object or array with which a text begins, 0 if there is
// none or it does not end. The error is a *BindError: the text exceeds a bound.
func firstJSON(data []byte) (end int, err error) {
	if !bytes.ContainsAny(data[:min(len(data), 1+leadingSpace(data))], "{[") {
		return 0, nil
	}
	depth, values, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return 0, &BindError{fmt.Sprintf("JSON is nested more than %d deep", maxDepth), ""}
			}
		case c == ',':
			if values++; values >= maxInJSON {
				return 0, &BindError{fmt.Sprintf("JSON has more than %d values", maxInJSON), ""}
			}
		case c == '}' || c == ']':
			if depth--; depth <= 0 {
				return i + 1, nil
			}
		}
	}
	return 0, nil
}

// bindForm sets fields of type string, bool and []string. The form uses their Go names.
// A map or a pointer to a struct is JSON, for example Headers={"X-Token":"abc"}.
func bindForm(values url.Values, v any) error {
	s := reflect.ValueOf(v).Elem()
	if s.Kind() != reflect.Struct {
		return nil
	}
	for i := range s.NumField() {
		list, ok := values[s.Type().Field(i).Name]
		if !ok || len(list) == 0 {
			continue
		}
		field := s.Field(i)
		if field.Kind() == reflect.Map || field.Kind() == reflect.Pointer && field.Type().Elem().Kind() == reflect.Struct {
			if decodeJSON([]byte(list[0]), field.Addr().Interface()) != nil { // the value may be a secret
				return &BindError{s.Type().Field(i).Name + " has to be JSON in a form", ""}
			}
			continue
		}
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		switch field.Kind() {
		case reflect.String:
			field.SetString(list[0])
		case reflect.Bool:
			b, err := strconv.ParseBool(list[0])
			if err != nil && list[0] != "" {
				return &BindError{err.Error(), s.Type().Field(i).Name + " has to be true or false"}
			}
			field.SetBool(b)
		case reflect.Slice:
			if field.Type().Elem().Kind() == reflect.String {
				field.Set(reflect.ValueOf(list))
			}
		}
	}
	return nil
}

// maxMissing bounds the elements that a refusal names.
const maxMissing = 20

// required checks the fields tagged as required. A string must not be empty. A
// slice must be present but may have no elements. v may be a slice of structs.
func required(v any) *BindError {
	s := reflect.Indirect(reflect.ValueOf(v))
	if s.Kind() == reflect.Slice {
		var missing, hints []string
		for i := 0; i < s.Len() && len(missing) < maxMissing; i++ {
			if err := required(s.Index(i).Addr().Interface()); err != nil {
				missing = append(missing, fmt.Sprintf("[%d]: %s", i, err))
				hints = append(hints, fmt.Sprintf("element %d: %s", i, err.hint))
			}
		}
		if missing != nil {
			return &BindError{strings.Join(missing, "\n"), strings.Join(hints, "; ")}
		}
		return nil
	}
	if s.Kind() != reflect.Struct {
		return nil
	}
	var missing, names []string
	for i := range s.NumField() {
		f := s.Type().Field(i)
		if f.Tag.Get("binding") == "required" && s.Field(i).IsZero() {
			missing = append(missing, fmt.Sprintf("Key: '%s.%s' Error:Field validation for '%s' failed on the 'required' tag",
				s.Type().Name(), f.Name, f.Name))
			names = append(names, f.Name)
		}
	}
	if missing == nil {
		return nil
	}
	return &BindError{strings.Join(missing, "\n"), "the request lacks " + strings.Join(names, " and ")}
}

const maxParts = 1000

// Param returns the value of a path parameter.
func Param(r *http.Request, name string) string {
	params, _ := r.Context().Value(paramsKey{}).(map[string]string)
	return params[name]
}

type paramsKey struct{}
