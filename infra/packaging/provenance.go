package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// provenanceName is the file with the sources, the tools and the parameters of the release.
const provenanceName = "provenance.json"

// resource is a file or a source, as in-toto names them.
type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

// statement is a statement of in-toto (v1) with the predicate of SLSA (provenance v1).
type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     struct {
		BuildDefinition struct {
			BuildType            string            `json:"buildType"`
			ExternalParameters   map[string]string `json:"externalParameters"`
			InternalParameters   map[string]string `json:"internalParameters"`
			ResolvedDependencies []resource        `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder map[string]string `json:"builder"`
		} `json:"runDetails"`
	} `json:"predicate"`
}

// provenance writes the statement on the files of the folder. It has no time and no name of
// a machine, so that two runs are equal.
func (r *release) provenance(ctx context.Context) error {
	s := statement{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	names, err := r.files()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == provenanceName {
			continue
		}
		sum, err := digest(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		s.Subject = append(s.Subject, resource{Name: name, Digest: map[string]string{"sha256": sum}})
	}
	build := &s.Predicate.BuildDefinition
	build.BuildType = "make release"
	build.ExternalParameters = map[string]string{"version": r.version, "architectures": strings.Join(r.archs, ","), "SOURCE_DATE_EPOCH": r.date.Format("2006-01-02T15:04:05Z")}
	build.InternalParameters = map[string]string{"go": runtime.Version()}
	for _, name := range []string{"go.mod", "go.sum"} {
		sum, err := digest(filepath.Join(r.source, name))
		if err != nil {
			return err
		}
		build.ResolvedDependencies = append(build.ResolvedDependencies, resource{Name: name, Digest: map[string]string{"sha256": sum}})
	}
	if commit, err := exec.CommandContext(ctx, "git", "-C", r.source, "rev-parse", "HEAD").Output(); err == nil { // sources of an archive have no commit
		build.ResolvedDependencies = append(build.ResolvedDependencies, resource{Name: "source", Digest: map[string]string{"gitCommit": strings.TrimSpace(string(commit))}})
	}
	s.Predicate.RunDetails.Builder = map[string]string{"id": "infra/packaging"}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, provenanceName), append(text, '\n'), 0o644)
}
