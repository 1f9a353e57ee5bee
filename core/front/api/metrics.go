package api

import (
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxLabels bounds the number of values of a label that clients choose. Further
// values are counted under otherLabel.
const (
	maxLabels  = 1000
	otherLabel = "other"
)

// Metrics counts requests, uploads and packages for Prometheus. Names are aptly's.
type Metrics struct {
	registry *prometheus.Registry
	inFlight *prometheus.GaugeVec
	requests *prometheus.CounterVec
	received *prometheus.SummaryVec
	sent     *prometheus.SummaryVec
	took     *prometheus.SummaryVec
	uploads  *prometheus.CounterVec
	packages *prometheus.GaugeVec
	owed     prometheus.Gauge
	oldest   prometheus.Gauge

	paths, dirs labels
}

// NewMetrics registers the metrics in a registry, which may contain others.
func NewMetrics(registry *prometheus.Registry, version string) *Metrics {
	answered := []string{"code", "method", "path"}
	summary := func(name, help string) *prometheus.SummaryVec {
		return prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: help}, answered)
	}
	m := &Metrics{
		registry: registry,
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "aptly_api_http_requests_in_flight",
			Help: "Number of concurrent HTTP api requests currently handled."}, []string{"method", "path"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aptly_api_http_requests_total",
			Help: "Total number of api requests."}, answered),
		received: summary("aptly_api_http_request_size_bytes", "Size of api requests in bytes, -1 where unknown."),
		sent:     summary("aptly_api_http_response_size_bytes", "Size of api answers in bytes."),
		took:     summary("aptly_api_http_request_duration_seconds", "Duration of api requests in seconds."),
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aptly_api_files_uploaded_total",
			Help: "Total number of upload requests by directory."}, []string{"directory"}),
		packages: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "aptly_repos_package_count",
			Help: "Number of packages of each published component."}, []string{"source", "distribution", "component"}),
	}
	m.owed = prometheus.NewGauge(prometheus.GaugeOpts{Name: "aptless_owed",
		Help: "Number of committed changes whose remaining work is not done."})
	m.oldest = prometheus.NewGauge(prometheus.GaugeOpts{Name: "aptless_owed_oldest_age_seconds",
		Help: "Age of the oldest committed change with remaining work; 0 without one."})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "aptly_build_info", Help: "The build; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	registry.MustRegister(m.inFlight, m.requests, m.received, m.sent, m.took, m.uploads, m.packages, m.owed, m.oldest, build)
	return m
}

// labels is the bounded set of the values of one label. Clients can send any value.
type labels struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (l *labels) bounded(value string) string {
	value = strings.ToValidUTF8(value, "\uFFFD")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[value] {
		return value
	}
	if len(l.seen) >= maxLabels || len(value) > 200 {
		return otherLabel
	}
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	l.seen[value] = true
	return value
}

// label returns the first two segments of a path. "/api/repos/x" gives "/api/repos".
func label(path string) string {
	segments := strings.SplitN(path, "/", 4)
	return strings.Join(segments[:min(len(segments), 3)], "/")
}

// count serves a request and counts it.
func (m *Metrics) count(w *recorder, r *http.Request, serve func(http.ResponseWriter, *http.Request)) {
	began, path, method := time.Now(), m.paths.bounded(label(r.URL.Path)), r.Method
	if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}, method) {
		method = otherLabel
	}
	running := m.inFlight.WithLabelValues(method, path)
	running.Inc()
	defer func() {
		running.Dec()
		code := strconv.Itoa(max(w.status, http.StatusOK))
		m.requests.WithLabelValues(code, method, path).Inc()
		m.received.WithLabelValues(code, method, path).Observe(float64(r.ContentLength))
		m.sent.WithLabelValues(code, method, path).Observe(float64(w.bytes))
		m.took.WithLabelValues(code, method, path).Observe(time.Since(began).Seconds())
	}()
	serve(w, r)
}

// uploaded counts a request that uploaded files to a directory.
func (m *Metrics) uploaded(dir string) {
	if m != nil {
		m.uploads.WithLabelValues(m.dirs.bounded(dir)).Inc()
	}
}
