package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

// pushing are the flags of push.
type pushing struct {
	repo                     string
	publish                  []string
	create, force, overwrite bool
	component, keyID         string
	remove, skipSigning      bool
}

// pushed is the report of push with --json.
type pushed struct {
	Repo           string
	Files          uploaded
	Added, Removed []string
	Warnings       []string
	FailedFiles    []string
	Published      []string // as ./stable
	New            bool     // something was added or removed
}

func (s *session) pushCommand() *cobra.Command {
	var p pushing
	c := s.leaf("push --repo NAME [--publish DISTRIBUTION[@PREFIX]]... FILE|FOLDER...", "Upload packages, import them and publish: one command for CI", count{1, -1},
		func(ctx context.Context, args []string) error { return s.push(ctx, p, args) })
	c.Long = `Upload package files, import them into a repository and update publications of it. Repeating the command is safe:
files that the server has are not sent again, and packages that it has are not imported twice.`
	flags := c.Flags()
	flags.StringVar(&p.repo, "repo", "", "the repository")
	flags.StringArrayVar(&p.publish, "publish", nil, "a publication to update, DISTRIBUTION or DISTRIBUTION@PREFIX; may be repeated")
	flags.BoolVar(&p.create, "create", false, "create the repository and the publications that are missing")
	flags.BoolVar(&p.force, "force-replace", false, "replace packages of the same name, version and architecture")
	flags.BoolVar(&p.overwrite, "force-overwrite", false, "replace package files in the published pool that differ")
	flags.StringVar(&p.component, "component", "main", "component of a repository that is created")
	flags.BoolVar(&p.remove, "remove-files", false, "remove the local files that were imported")
	flags.StringVar(&p.keyID, "gpg-key", "", "keys of the server to sign with, separated by commas")
	flags.BoolVar(&p.skipSigning, "skip-signing", false, "do not sign")
	return c
}

// targets reads the values of --publish.
func (p pushing) targets() []client.Place {
	var all []client.Place
	for _, text := range p.publish {
		distribution, prefix, _ := strings.Cut(text, "@")
		all = append(all, client.Place{Prefix: prefix, Distribution: distribution})
	}
	return all
}

func (s *session) push(ctx context.Context, p pushing, args []string) error {
	if p.repo == "" {
		return usagef("the repository is missing: --repo NAME")
	}
	files, err := s.collect(args)
	if err != nil {
		return err
	}
	if p.create {
		if err := s.createRepoOnce(ctx, p); err != nil {
			return err
		}
	}
	report := pushed{Repo: p.repo, Added: []string{}, Removed: []string{}, Warnings: []string{}, FailedFiles: []string{}, Published: []string{}}
	dir := directory(p.repo, files)
	if report.Files, err = s.upload(ctx, dir, files); err != nil {
		return err
	}
	before, err := send(ctx, s, client.ListKeys(client.OfRepos, p.repo))
	if err != nil {
		return err
	}
	s.reporter.files = len(files)
	a, err := send(ctx, s, client.Import(p.repo, dir).Flag("forceReplace", p.force))
	if err != nil {
		return err
	}
	after, err := send(ctx, s, client.ListKeys(client.OfRepos, p.repo))
	if err != nil {
		return err
	}
	r := a.Value
	report.Added, report.Removed, report.Warnings = append(report.Added, r.Report.Added...), append(report.Removed, r.Report.Removed...), append(report.Warnings, r.Report.Warnings...)
	report.FailedFiles = append(report.FailedFiles, r.FailedFiles...)
	report.New = !slices.Equal(before.Value, after.Value)
	if p.remove {
		if err := removeLocal(files, r.FailedFiles); err != nil {
			return err
		}
	}
	for _, at := range p.targets() {
		if err := s.pushTo(ctx, p, at); err != nil {
			return err
		}
		report.Published = append(report.Published, at.String())
	}
	return s.pushReport(report, r)
}

func (s *session) pushReport(report pushed, r client.Report) error {
	if s.opts.json {
		raw, err := json.Marshal(report)
		if err == nil {
			err = s.printer.json(raw)
		}
		if err == nil && len(report.FailedFiles) > 0 {
			err = &silent{codeFailed}
		}
		return err
	}
	failed := s.report(r)
	for _, at := range report.Published {
		s.say("published %s", at)
	}
	if !report.New && failed == nil {
		s.say("nothing new: %d files, all there", report.Files.Files)
	} else {
		s.say("%d files sent (%s), %d added, %d failed", report.Files.Sent, bytesText(report.Files.Bytes), len(report.Added), len(report.FailedFiles))
	}
	return failed
}

// createRepoOnce creates the repository unless it is there.
func (s *session) createRepoOnce(ctx context.Context, p pushing) error {
	_, err := send(ctx, s, client.ShowRepo(p.repo))
	if client.StatusOf(err) != http.StatusNotFound {
		return err
	}
	_, err = send(ctx, s, client.CreateRepo(client.RepoSettings{Name: p.repo, DefaultComponent: p.component}))
	return orThere(err)
}

// orThere ignores the refusal of a name that is taken: a push at the same time has
// created it.
func orThere(err error) error {
	var refused *client.Refusal
	if errors.As(err, &refused) && codeOfRefusal(refused) == codeConflict {
		return nil
	}
	return err
}

// pushTo updates a publication, or creates it.
func (s *session) pushTo(ctx context.Context, p pushing, at client.Place) error {
	signing := client.Signing{Skip: p.skipSigning, GpgKey: p.keyID}
	_, err := s.publication(ctx, at)
	if err != nil && !(p.create && client.StatusOf(err) == http.StatusNotFound) {
		return err
	}
	if err != nil {
		_, err = send(ctx, s, client.Publish(at.Prefix, client.Publishing{SourceKind: "local", Distribution: at.Distribution, Sources: []client.Source{{Component: p.component, Name: p.repo}}, Signing: signing}))
		if err == nil || orThere(err) != nil {
			return err
		}
	}
	call, err := s.update(ctx, at, client.Publishing{ForceOverwrite: p.overwrite, Signing: signing})
	if err == nil {
		_, err = send(ctx, s, call)
	}
	return err
}
