package api

import (
	"errors"
	"net/http"
	"strconv"

	"aptless/core/archive/publish"
	"aptless/core/archive/transfer"
	"aptless/core/engine/driver"
	"aptless/core/formats/openapi"
	"aptless/core/front/auth"
)

// planParams is the body of a question about an import. It has files, objects or both.
type planParams struct {
	Files     []string // SHA-256, at most 10,000
	Objects   []string // lines of objects.jsonl, at most 1,000
	Overwrite bool
	Empty     bool
}

// planned is the answer.
type planned struct {
	Missing  []string // files that the pool lacks
	Outcomes []string // for each object: created, updated, unchanged, kept or clash
}

func (s *Server) transferRoutes(rt *Router) {
	reads := needs(plain(auth.DBManage), plain(auth.PackagesRead), all(auth.RepoRead, auth.MirrorRead, auth.SnapshotRead), all(auth.PublishRead))
	writes := func(more ...asked) Access {
		return needs(plain(auth.DBManage), append(more, all(auth.RepoManage, auth.MirrorManage, auth.SnapshotManage), plain(auth.GPGManage))...)
	}
	rt.Handle("POST", "/api/exports", reads, func(w http.ResponseWriter, r *http.Request) error {
		return s.run(w, r, s.Transfers.CheckExport(), nil)
	})
	rt.Handle("GET", "/api/exports/{id}/{kind}/{name}", reads, s.exportPart)
	rt.Handle("DELETE", "/api/exports/{id}", reads, func(w http.ResponseWriter, r *http.Request) error {
		return s.run(w, r, s.Transfers.CheckForget(Param(r, "id")), nil)
	})
	rt.Handle("POST", "/api/import", writes(), func(w http.ResponseWriter, r *http.Request) error {
		var body planParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		missing, err := s.Transfers.Missing(r.Context(), body.Files)
		if err != nil {
			return err
		}
		outcomes, err := s.Transfers.Outcomes(r.Context(), body.Objects, transfer.ImportArgs{Overwrite: body.Overwrite, Empty: body.Empty})
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, planned{missing, append([]string{}, outcomes...)})
	})
	rt.Handle("POST", "/api/import/{dir}", writes(dirOf(auth.FilesWrite)), func(w http.ResponseWriter, r *http.Request) error {
		dir, err := CleanDir(Param(r, "dir"))
		if err != nil {
			return err
		}
		return s.run(w, r, s.Transfers.CheckImport(transfer.ImportArgs{Dir: dir, DryRun: Flag(r, "dryRun"), Overwrite: Flag(r, "overwrite"), Empty: Flag(r, "empty")}), nil)
	})
	rt.Handle("POST", "/api/publish/{prefix}/{distribution}/restore", needs(plain(auth.DBManage), publication(auth.PublishManage)), func(w http.ResponseWriter, r *http.Request) error {
		spec, err := s.Transfers.CheckRestore(r.Context(), published(r))
		return s.run(w, r, spec, err)
	})
}

// exportPart answers a part of an export. An answer of less than transfer.MaxPart bytes
// is the last one.
func (s *Server) exportPart(w http.ResponseWriter, r *http.Request) error {
	from := int64(0)
	if text := r.URL.Query().Get("from"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return Errorf(http.StatusBadRequest, "from=%.40q is no number of bytes", text)
		}
		from = n
	}
	data, err := s.Transfers.Part(r.Context(), Param(r, "id"), Param(r, "kind"), Param(r, "name"), from)
	if errors.Is(err, driver.ErrNotFound) {
		return Errorf(http.StatusNotFound, "no such part of export %.40s", Param(r, "id"))
	}
	if errors.Is(err, driver.ErrInvalid) {
		return Errorf(http.StatusRequestedRangeNotSatisfiable, "from=%d is beyond the end", from)
	}
	if err != nil {
		return err
	}
	return writeBytes(w, "application/octet-stream", data)
}

func transferOperations() []openapi.Operation {
	const tag = "Transfers"
	return []openapi.Operation{
		tasked("POST", "/api/exports", tag, "createExport", "Export all objects: the collector keeps what they name. Not in aptly", gives(201, transfer.Export{})),
		op("GET", "/api/exports/{id}/{kind}/{name}", tag, "readExport", "Read at most 4 MiB of a part of an export. Not in aptly",
			gives(200, text, openapi.Param{Name: "from", About: "from this byte on", Default: "0"})),
		tasked("DELETE", "/api/exports/{id}", tag, "dropExport", "Remove an export. Not in aptly", gives(200, empty{})),
		op("POST", "/api/import", tag, "planImport", "Tell which package files the pool lacks, and what an import would do with objects. Not in aptly", takes(planParams{}, 200, planned{})),
		tasked("POST", "/api/import/{dir}", tag, "importTransfer", "Import the transfer folder in an upload directory. Not in aptly",
			gives(200, transfer.Report{}, dryRun, openapi.Param{Name: "overwrite", About: "also objects that were changed here since their import", Values: []string{"1"}},
				openapi.Param{Name: "empty", About: "only if the server has no objects", Values: []string{"1"}})),
		tasked("POST", "/api/publish/{prefix}/{distribution}/restore", tag, "restorePublication", "Publish an imported publication. Not in aptly", gives(201, publish.View{})),
	}
}
