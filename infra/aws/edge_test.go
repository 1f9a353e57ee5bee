package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"aptless/core/engine/driver"
)

// store answers as the key value store of CloudFront.
type store struct {
	*httptest.Server
	mu        sync.Mutex
	values    map[string]string
	version   int
	conflicts int // updates that another writer overtakes
	sent      []int
}

const storeARN = "arn:aws:cloudfront::123456789012:key-value-store/6ef31dc5-0000-0000-0000-000000000000"

func newStore(t *testing.T) (*store, *Edge) {
	s := &store{values: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	d := &Drivers{sdk: sdk.Config{Region: "us-east-1", Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret", SessionToken: "session"}, nil
	})}}
	return s, d.NewEdge(storeARN, s.URL)
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-ECDSA-P256-SHA256 ") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	switch rest, _ := strings.CutPrefix(r.URL.Path, "/key-value-stores/"+storeARN); r.Method + " " + rest {
	case "GET ":
		w.Header().Set("ETag", fmt.Sprint(s.version))
		json.NewEncoder(w).Encode(map[string]any{"ItemCount": len(s.values), "TotalSizeInBytes": 1, "KvsARN": storeARN, "Created": 1})
	case "GET /keys":
		names := []string{}
		for name := range s.values {
			names = append(names, name)
		}
		slices.Sort(names)
		at, _ := strconv.Atoi(r.URL.Query().Get("NextToken"))
		most, _ := strconv.Atoi(r.URL.Query().Get("MaxResults"))
		answer := map[string]any{}
		items := []map[string]string{}
		for _, name := range names[at:min(at+most, len(names))] {
			items = append(items, map[string]string{"Key": name, "Value": s.values[name]})
		}
		if answer["Items"] = items; at+most < len(names) {
			answer["NextToken"] = strconv.Itoa(at + most)
		}
		json.NewEncoder(w).Encode(answer)
	case "POST /keys":
		var body struct {
			Puts    []struct{ Key, Value string }
			Deletes []struct{ Key string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if s.conflicts > 0 {
			s.conflicts--
			s.version++
		}
		if r.Header.Get("If-Match") != fmt.Sprint(s.version) {
			w.Header().Set("X-Amzn-Errortype", "ConflictException")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"Message":"another version"}`)
			return
		}
		s.sent = append(s.sent, len(body.Puts)+len(body.Deletes))
		s.version++
		for _, p := range body.Puts {
			s.values[p.Key] = p.Value
		}
		for _, d := range body.Deletes {
			delete(s.values, d.Key)
		}
		json.NewEncoder(w).Encode(map[string]any{"ItemCount": len(s.values), "TotalSizeInBytes": 1})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestEdgeHasWhatWasPutLast: more keys than one call takes, and the keys that others put.
func TestEdgeHasWhatWasPutLast(t *testing.T) {
	s, e := newStore(t)
	put := map[string]string{"private": `["team-a"]`}
	var remove []string
	for i := range 2*driver.MaxEdge + 5 {
		put[fmt.Sprintf("t/%03d", i)] = `{"p":["team-a"],"e":0}`
		remove = append(remove, fmt.Sprintf("t/%03d", i))
	}
	if err := e.Update(t.Context(), put, []string{"none"}); err != nil {
		t.Fatal(err)
	}
	names := 0
	for name, err := range e.Keys(t.Context()) {
		if err != nil || put[name] == "" {
			t.Fatal(name, err)
		}
		names++
	}
	if names != len(put) || len(s.values) != len(put) || s.values["private"] != put["private"] || slices.Max(s.sent) > driver.MaxEdge {
		t.Errorf("%d keys of %d, in calls of %v", names, len(put), s.sent)
	}
	if err := e.Update(t.Context(), map[string]string{"private": "[]"}, remove); err != nil || len(s.values) != 1 || s.values["private"] != "[]" {
		t.Errorf("%v, %v", s.values, err)
	}
}

// TestEdgeWritersAtTheSameTime: an update that another one overtakes is tried again, and
// not for ever.
func TestEdgeWritersAtTheSameTime(t *testing.T) {
	s, e := newStore(t)
	s.conflicts = 3
	if err := e.Update(t.Context(), map[string]string{"a": "1"}, nil); err != nil || s.values["a"] != "1" {
		t.Errorf("%v, %v", s.values, err)
	}
	s.conflicts = 1000
	if err := e.Update(t.Context(), map[string]string{"a": "2"}, nil); err == nil || s.values["a"] != "1" {
		t.Errorf("%v, %v", s.values, err)
	}
}
