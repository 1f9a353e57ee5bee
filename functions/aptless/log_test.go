package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestLogLinesAreForPeople holds that a line has no JSON in quotes and no map of requests, and
// that --log-json keeps both whole.
func TestLogLinesAreForPeople(t *testing.T) {
	record := json.RawMessage(`{"ID":"a-1","Event":"call","By":{"Kind":"token","Name":"ci"},"Method":"POST","Path":"/api/repos","Needs":["repo.manage a"],"Status":201,"Prev":"","Hash":"00"}`)
	for name, tc := range map[string]struct {
		json bool
		want []string
	}{
		"people": {false, []string{`msg=audit id=a-1 event=call by="token ci" method=POST path=/api/repos needs="[repo.manage a]" status=201` + "\n", `msg="task succeeded" waited=1.234s ran=9.358356ms requests=7` + "\n"}},
		"JSON":   {true, []string{`"record":{"ID":"a-1","Event":"call",`, `"Hash":"00"}`, `"waited":1234400000`, `"requests":{"Table.Get":5,"Table.Write":2}`}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log := logger(settings{err: &out, json: tc.json})
			log.Info("audit", "record", record)
			log.Info("task succeeded", "waited", 1234400000*time.Nanosecond, "ran", 9358356*time.Nanosecond, "requests", map[string]int64{"Table.Get": 5, "Table.Write": 2})
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %s in\n%s", want, &out)
				}
			}
		})
	}
}
