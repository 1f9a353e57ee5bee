package aws_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"aptless/core/engine/driver"
	"aptless/infra/aws"
	"aptless/localstack/host"
)

func newEdge(t *testing.T, values *host.KeyValues) *aws.Edge {
	t.Helper()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "session", "AWS_REGION": "us-east-1"} {
		t.Setenv(name, value)
	}
	server := httptest.NewServer(values)
	t.Cleanup(server.Close)
	d, err := aws.Connect(t.Context(), aws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return d.NewEdge(host.KeyValuesARN, server.URL)
}

// TestEdgeHasWhatWasPutLast: more keys than one call takes, and the keys that others put.
func TestEdgeHasWhatWasPutLast(t *testing.T) {
	values := &host.KeyValues{}
	e := newEdge(t, values)
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
	if stored := values.Values(); names != len(put) || len(stored) != len(put) || stored["private"] != put["private"] || values.Largest() > driver.MaxEdge {
		t.Errorf("%d keys of %d, %d in a call", names, len(put), values.Largest())
	}
	err := e.Update(t.Context(), map[string]string{"private": "[]"}, remove)
	if stored := values.Values(); err != nil || len(stored) != 1 || stored["private"] != "[]" {
		t.Errorf("%v, %v", stored, err)
	}
}

// TestEdgeWritersAtTheSameTime: an update that another one overtakes is tried again, and
// not for ever.
func TestEdgeWritersAtTheSameTime(t *testing.T) {
	conflicts := 3
	values := &host.KeyValues{Overtaken: func() bool { conflicts--; return conflicts >= 0 }}
	e := newEdge(t, values)
	if err := e.Update(t.Context(), map[string]string{"a": "1"}, nil); err != nil || values.Values()["a"] != "1" {
		t.Errorf("%v, %v", values.Values(), err)
	}
	conflicts = 1000
	if err := e.Update(t.Context(), map[string]string{"a": "2"}, nil); err == nil || values.Values()["a"] != "1" {
		t.Errorf("%v, %v", values.Values(), err)
	}
}
