package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// inPages adds pages to a handler that answers with an array. It suits listings that a
// server reads as a whole anyway, as the files of a directory.
func inPages(h HandlerFunc) HandlerFunc { return pagesOf(h, func([]json.RawMessage) {}) }

// byName is inPages for a listing in no order, as repositories: its pages are by name.
func byName(h HandlerFunc) HandlerFunc {
	return pagesOf(h, func(all []json.RawMessage) {
		slices.SortStableFunc(all, func(a, b json.RawMessage) int { return strings.Compare(nameIn(a), nameIn(b)) })
	})
}

func pagesOf(h HandlerFunc, sort func([]json.RawMessage)) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := pageOf(r)
		if err != nil {
			return err
		}
		if p.limit == 0 {
			return h(w, r)
		}
		from, err := parsePosition(p.after)
		if err != nil {
			return err
		}
		held := &heldAnswer{header: w.Header()}
		if err := h(held, r); err != nil {
			return err
		}
		var all []json.RawMessage
		if held.status != http.StatusOK || json.Unmarshal(held.body.Bytes(), &all) != nil {
			w.WriteHeader(held.status)
			w.Write(held.body.Bytes()) // an error means that the client has disconnected
			return nil
		}
		sort(all)
		return writePage(w, cut(all, p.limit, from), func(v json.RawMessage) any { return v })
	}
}

// heldAnswer holds the answer of a handler.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header { return a.header }

func (a *heldAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *heldAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// position is the place after an element: its index and its name. The name finds the
// place in a list that has changed meanwhile.
type position struct {
	index int // of the element that follows; 0 is the begin
	name  string
}

func (at position) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(at.index) + " " + at.name))
}

func parsePosition(after string) (position, error) {
	if after == "" {
		return position{}, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(after)
	index, name, ok := strings.Cut(string(data), " ")
	n, wrong := strconv.Atoi(index)
	if err != nil || wrong != nil || !ok || n < 1 {
		return position{}, errAfter(after)
	}
	return position{n, name}, nil
}

// cut returns the page that begins at a position.
func cut(all []json.RawMessage, limit int, from position) taken[json.RawMessage] {
	begin := 0
	if from.index > 0 {
		begin = locate(all, from)
	}
	end := min(begin+limit, len(all))
	got := taken[json.RawMessage]{items: all[begin:end], total: len(all)}
	if end < len(all) {
		got.next = position{end, nameIn(all[end-1])}.String()
	}
	return got
}

// locate returns the index after the element of a position. If the element has gone, it
// is the index of the next element by name, or that of the position in an unsorted list.
func locate(all []json.RawMessage, from position) int {
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = nameIn(v)
	}
	if from.index <= len(all) && names[from.index-1] == from.name {
		return from.index
	}
	if i := slices.Index(names, from.name); i >= 0 {
		return i + 1
	}
	if slices.IsSorted(names) {
		i, _ := slices.BinarySearch(names, from.name)
		return i
	}
	return min(from.index-1, len(all))
}

// nameIn returns the name of an element: a text itself, or the fields that name an object
// of the API.
func nameIn(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	var named struct {
		Name, ID, Path, Distribution, Storage, Key, Fingerprint, Issuer string
		Generation                                                      json.Number
	}
	if json.Unmarshal(v, &named) != nil {
		return string(v)
	}
	parts := []string{named.Name, named.ID, named.Path, named.Distribution, named.Storage, named.Key, named.Fingerprint, named.Issuer, named.Generation.String()}
	if name := strings.Trim(strings.Join(parts, "\x00"), "\x00"); name != "" {
		return name
	}
	return string(v)
}
