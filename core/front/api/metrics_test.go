package api

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsAreListed holds that docs/reference/metrics.md has each metric with its labels and
// its text, and no other one.
func TestMetricsAreListed(t *testing.T) {
	page, err := os.ReadFile("../../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	NewMetrics(registry, "1")
	described := make(chan *prometheus.Desc, 100)
	registry.Describe(described)
	close(described)
	field := regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]*)",.* constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}`)
	metrics := 0
	for d := range described {
		m := field.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatal(d)
		}
		metrics++
		labels := strings.ReplaceAll(m[4], ",", ", ")
		row := regexp.MustCompile("(?m)^\\| `" + m[1] + "` \\| (gauge|counter|summary) \\|(.*)\\| " + regexp.QuoteMeta(m[2]) + " \\|$").FindSubmatch(page)
		if row == nil || labels != "" && strings.TrimSpace(string(row[2])) != labels {
			t.Errorf("the page lacks %s with the labels %q: %s", m[1], labels, m[2])
		}
	}
	if rows := strings.Count(string(page), "\n| `"); rows != metrics {
		t.Errorf("the page has %d metrics, and the server %d", rows, metrics)
	}
}
