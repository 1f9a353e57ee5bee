package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const (
		pass    = `{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
		end     = `{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n"
		skip    = `{"Action":"skip","Package":"p","Test":"TestS"}` + "\n"
		fail    = `{"Action":"output","Package":"p","Test":"TestF","Output":"it broke\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestF"}` + "\n"
		endFail = `{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n"
		build   = `{"ImportPath":"p","Action":"build-output","Output":"p.go:1: no\n"}` + "\n" + `{"ImportPath":"p","Action":"build-fail"}` + "\n" + endFail
	)
	allowed := map[string]string{"p TestS": "needs the moon"}
	for name, tc := range map[string]struct {
		in      string
		allowed map[string]string
		ok      bool
		want    []string
		not     string
	}{
		"passed":       {pass + end, nil, true, []string{"ok  \tp\t0.1s\n1 passed, 0 failed, 0 skipped\n"}, "noise"},
		"failed":       {pass + fail + endFail, nil, false, []string{"it broke", "FAIL\tp", "1 passed, 1 failed, 0 skipped"}, "noise"},
		"build failed": {build, nil, false, []string{"p.go:1: no", "0 passed, 1 failed"}, "\x00"},
		"skipped":      {pass + skip + end, allowed, true, []string{"skipped: p TestS: needs the moon", "1 passed, 0 failed, 1 skipped"}, "NOT"},
		"not allowed":  {pass + skip + end, nil, false, []string{"skipped: p TestS: NOT ALLOWED"}, "moon"},
		"only skipped": {skip + end, allowed, false, []string{"0 passed, 0 failed, 1 skipped"}, "NOT"},
		"nothing":      {"", nil, false, []string{"0 passed"}, "\x00"},
		"no JSON":      {"go: no such tool\n", nil, false, []string{"go: no such tool"}, "\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := report(strings.NewReader(tc.in), &out, tc.allowed); (err == nil) != tc.ok {
				t.Errorf("%v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
			if strings.Contains(strings.ReplaceAll(out.String(), "TestS", ""), tc.not) {
				t.Errorf("%q in\n%s", tc.not, out.String())
			}
		})
	}
}

func TestParseAllowed(t *testing.T) {
	got, err := parseAllowed("# comment\n\np/q TestX/y it needs  data\n")
	if err != nil || len(got) != 1 || got["p/q TestX/y"] != "it needs data" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseAllowed("p TestX\n"); err == nil {
		t.Error("a skip without a reason was accepted")
	}
}
