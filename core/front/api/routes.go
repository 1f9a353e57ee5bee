package api

import (
	"io"
	"net/http"

	"aptless/core/archive/fsck"
	"aptless/core/front/auth"
)

// Handler returns the handler of all routes.
func (s *Server) Handler() http.Handler {
	rt := &Router{Log: s.Log, Fallback: s.Pages, Metrics: s.Metrics, Guard: s.Guard, Bodies: s.Bodies}
	s.probeRoutes(rt)
	s.authRoutes(rt)
	s.bindingRoutes(rt)
	s.policyRoutes(rt)
	s.privateRoutes(rt)
	s.auditRoutes(rt)
	rt.Handle("GET", "/api/storage", anyPrincipal(), s.storage)
	s.endpointRoutes(rt)
	s.documentRoutes(rt)
	if s.Metrics != nil {
		rt.Handle("GET", "/api/metrics", needs(plain(auth.MetricsRead)), s.metrics())
	}
	s.overviewRoutes(rt)
	s.taskRoutes(rt)
	s.fileRoutes(rt)
	rt.Handle("POST", "/api/upload/{repo}", needs(deliveryNeeds), s.deliver)
	s.repoRoutes(rt)
	s.mirrorRoutes(rt)
	s.snapshotRoutes(rt)
	s.packageRoutes(rt)
	s.originRoutes(rt)
	s.publishRoutes(rt)
	s.transferRoutes(rt)
	s.backupRoutes(rt)
	s.gpgRoutes(rt)
	rt.Handle("GET", "/api/graph.{ext}", needs(all(auth.RepoRead, auth.MirrorRead, auth.SnapshotRead), all(auth.PublishRead)), s.graph)
	rt.Handle("GET", "/repos/", public(), func(w http.ResponseWriter, r *http.Request) error {
		page(w.Header(), "")
		_, err := io.WriteString(w, "<pre>\n"+s.Tree.folders(r.Context())+"</pre>\n")
		return err
	})
	rt.Handle("POST", "/api/db/cleanup", needs(plain(auth.DBManage)), func(w http.ResponseWriter, r *http.Request) error {
		if Flag(r, "dryRun") {
			return s.run(w, r, s.Collector.Plan(), nil)
		}
		return s.run(w, r, s.Collector.Check(), nil)
	})
	rt.Handle("POST", "/api/db/repair", needs(plain(auth.DBManage)), s.repair)
	rt.Handle("POST", "/api/db/check", needs(plain(auth.DBManage)), func(w http.ResponseWriter, r *http.Request) error {
		return s.run(w, r, s.Checker.Check(fsck.Args{Deep: Flag(r, "deep"), Repair: Flag(r, "repair")}), nil)
	})
	s.asTasks(rt)
	return rt
}
