package api

import (
	"net/http"

	"aptless/core/archive/publish"
	"aptless/core/front/auth"
)

// requireOptions decides on the options that reach further than one distribution:
// to leave it unsigned, and to replace files in the pool of its prefix.
func (s *Server) requireOptions(r *http.Request, at publish.Name, unsigned, overwrite bool) error {
	if unsigned {
		if err := s.requirePublication(r, auth.PublishManage, at.Storage, at.Prefix, at.Distribution); err != nil {
			return err
		}
	}
	if overwrite {
		return s.requirePublication(r, auth.PublishUpdate, at.Storage, at.Prefix, auth.All)
	}
	return nil
}

// requireNames decides on a distribution and its other names.
func (s *Server) requireNames(r *http.Request, can auth.Permission, at publish.Name, aliases *[]string) error {
	names := []string{at.Distribution}
	if aliases != nil {
		names = append(names, *aliases...)
	}
	return s.requirePublication(r, can, at.Storage, at.Prefix, names...)
}

// requireSources decides on the sources of a publication.
func (s *Server) requireSources(r *http.Request, kind publish.SourceKind, sources []publish.NamedSource) error {
	can := auth.RepoRead
	if kind == publish.Snapshot {
		can = auth.SnapshotRead
	}
	for _, src := range sources {
		if err := s.require(r, auth.Need{Can: can, Name: src.Name}); err != nil {
			return err
		}
	}
	return nil
}

// requireCreation decides on all of a creation but the distribution, if the request
// leaves that to the sources.
func (s *Server) requireCreation(r *http.Request, args publish.CreateArgs) error {
	if err := s.requireSources(r, args.Kind, args.Sources); err != nil {
		return err
	}
	if args.ForceOverwrite {
		if err := s.requirePublication(r, auth.PublishUpdate, args.Storage, args.Prefix, auth.All); err != nil {
			return err
		}
	}
	if args.Distribution == "" {
		return nil
	}
	return s.requireNames(r, auth.PublishManage, args.Name, args.Options.Aliases)
}

func (s *Server) requireUpdate(r *http.Request, args publish.UpdateArgs) error {
	if err := s.requireSources(r, publish.Snapshot, args.Sources); err != nil {
		return err
	}
	if args.Options.Aliases != nil {
		if err := s.requireNames(r, auth.PublishManage, args.Name, args.Options.Aliases); err != nil {
			return err
		}
	}
	return s.requireOptions(r, args.Name, args.Signing.SkipSigning, args.ForceOverwrite)
}

// requireStaged decides on sources that are to be published next. Their kind is that
// of the publication, which the sender may update.
func (s *Server) requireStaged(r *http.Request, args publish.StageArgs) error {
	if len(args.Sources) == 0 || callOf(r.Context()).principal.Kind == auth.Open {
		return nil
	}
	kind, err := s.Publish.KindOf(r.Context(), args.Name)
	if err != nil {
		return err
	}
	return s.requireSources(r, kind, args.Sources)
}

// require decides on needs that the body of a request says.
func (s *Server) require(r *http.Request, list ...auth.Need) error {
	c := callOf(r.Context())
	c.needs = append(c.needs, list...)
	return auth.Decide(c.principal, list...)
}

// requirePublication decides on needs on distributions of one prefix.
func (s *Server) requirePublication(r *http.Request, can auth.Permission, storage, prefix string, distributions ...string) error {
	var list []auth.Need
	for _, d := range distributions {
		need, err := onPublication(can, storage, prefix, d)
		if err != nil && callOf(r.Context()).principal.Kind == auth.Open {
			return nil // the handler refuses the prefix
		}
		if err != nil {
			return err
		}
		list = append(list, need)
	}
	return s.require(r, list...)
}
