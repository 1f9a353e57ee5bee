package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics answers with all metrics. It counts packages and debts for each request.
func (s *Server) metrics() HandlerFunc {
	handler := promhttp.InstrumentMetricHandler(s.Metrics.registry, promhttp.HandlerFor(s.Metrics.registry, promhttp.HandlerOpts{}))
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.countPackages(r); err != nil {
			s.Log.Warn("packages were not counted", "error", err)
		}
		if err := s.countOwed(r); err != nil {
			s.Log.Warn("debts were not counted", "error", err)
		}
		handler.ServeHTTP(w, r)
		return nil
	}
}

// countOwed sets the number of debts and the age of the oldest.
func (s *Server) countOwed(r *http.Request) error {
	sum, err := s.Tasks.Owed(r.Context())
	if err != nil {
		return err
	}
	s.Metrics.owed.Set(float64(sum.Count))
	s.Metrics.oldest.Set(0)
	if sum.Count > 0 {
		s.Metrics.oldest.Set(max(s.Tasks.Now().Sub(sum.Oldest).Seconds(), 0))
	}
	return nil
}

// countPackages sets the number of packages of each published component.
func (s *Server) countPackages(r *http.Request) error {
	records, err := s.Publish.All(r.Context())
	if err != nil {
		return err
	}
	s.Metrics.packages.Reset()
	for _, p := range records {
		components := slices.Sorted(maps.Keys(p.Components))
		var sources []string
		for _, c := range components {
			sources = append(sources, p.Components[c].Name+":"+c)
		}
		slices.Sort(sources)
		for _, c := range components {
			s.Metrics.packages.WithLabelValues("["+strings.Join(sources, " ")+"]", p.Distribution, c).Set(float64(p.Components[c].List.Count))
		}
	}
	return nil
}
