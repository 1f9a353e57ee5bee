package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"aptless/core/client"
)

// Main runs a command line and returns the exit code. words begin with the name of the
// program. more are commands of other packages; a command key gets those of a server.
func Main(ctx context.Context, env Env, words []string, more func() []*cobra.Command) int {
	s := &session{env: env, words: words, alias: filepath.Base(words[0]) == "aptly"}
	s.reporter, s.printer = &reporter{now: env.Now}, printer{out: env.Out, now: env.Now()}
	err := s.execute(ctx, words[1:], more)
	s.reporter.close()
	code := codeOf(err)
	if s.alias {
		code = aptlyCode(code)
		if err == nil && s.helped { // as aptly
			code = codeUsage
		}
	}
	var ended *silent
	if err != nil && !errors.As(err, &ended) {
		s.explain(err)
	}
	return code
}

// execute runs one command.
func (s *session) execute(ctx context.Context, words []string, more func() []*cobra.Command) error {
	s.run = func(ctx context.Context, words []string) error {
		inner := &session{env: s.env, words: s.words, alias: s.alias, opts: s.opts, reporter: s.reporter, printer: s.printer}
		return inner.execute(ctx, words, more)
	}
	root := s.root(more())
	root.SetOut(s.env.Out)
	root.SetErr(s.env.Err)
	root.SetIn(s.env.In)
	explained(root)
	print := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if f := c.Flags().Lookup("help"); f != nil && f.Changed {
			s.helped = true
		}
		print(c, args)
	})
	root.SetArgs(long(words, valued(root)))
	err := root.ExecuteContext(ctx)
	if s.in != nil {
		s.in.leave(context.WithoutCancel(ctx))
	}
	return err
}

// valued returns the flags of all commands that take a value.
func valued(root *cobra.Command) map[string]bool {
	takes := map[string]bool{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) {
				if f.NoOptDefVal == "" {
					takes[f.Name] = true
					takes[f.Shorthand] = true
				}
			})
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit(root)
	delete(takes, "")
	return takes
}

// ignored are global flags of aptly for its own database and keys.
var ignored = map[string]string{"db-open-attempts": "10", "gpg-provider": "", "dep-verbose-resolve": "false"}

// follows are global flags of aptly. A server has settings of its own for them, which the
// flags replace for one request.
var follows = []string{"all-variants", "recommends", "source", "suggests"}

func (s *session) root(more []*cobra.Command) *cobra.Command {
	root := &cobra.Command{Use: filepath.Base(s.words[0]) + " VERB", Short: "Debian package repositories as a service, over aptly's REST API", Version: s.env.Version,
		SilenceUsage: true, SilenceErrors: true, Args: cobra.ArbitraryArgs}
	root.RunE = func(cmd *cobra.Command, args []string) error { return unknownVerb(cmd, args) }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v: %s --help", err, cmd.CommandPath())
	})
	s.flags(root)
	root.AddCommand(s.repoCommand(), s.mirrorCommand(), s.snapshotCommand(), s.publishCommand(), s.packageCommand(), s.taskCommand(), s.dbCommand(),
		s.graphCommand(), s.configCommand(), s.versionCommand(), s.pushCommand(), s.filesCommand(), s.whoamiCommand(), s.fsckCommand(), s.consoleCommand(), s.exportCommand(), s.importCommand(), s.backupCommand(), s.restoreCommand(), s.migrateCommand(),
		concealed(group("api", "aptly's server", s.leaf("serve", "Not here: aptless serve is the server", count{0, -1}, func(context.Context, []string) error {
			return usagef("the server is: aptless serve")
		}))))
	root.AddCommand(s.setupCommand(), s.doctorCommand(), s.manCommand())
	for _, c := range more {
		if c.Name() == "key" {
			c.AddCommand(s.keyCommands()...)
		}
		root.AddCommand(c)
	}
	s.flagNames(root)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return s.begin(cmd) }
	return root
}

// flags adds the flags of all commands.
func (s *session) flags(root *cobra.Command) {
	flags, o := root.PersistentFlags(), &s.opts
	flags.StringVar(&o.url, "url", o.url, "address of the server: http://, https:// or unix:///path")
	flags.StringVarP(&o.profile, "profile", "p", o.profile, "a profile of the configuration file")
	flags.StringVar(&o.tokenFile, "token-file", o.tokenFile, "file with the token")
	flags.StringVar(&o.config, "config", o.config, "the configuration file; of aptly's, the profile that names it")
	flags.DurationVar(&o.timeout, "timeout", o.timeout, "end the command after this time; a task goes on")
	flags.BoolVar(&o.json, "json", o.json, "print the objects of the API as JSON")
	flags.BoolVarP(&o.quiet, "quiet", "q", o.quiet, "print errors only, besides data")
	flags.BoolVarP(&o.verbose, "verbose-requests", "v", o.verbose, "print each request on stderr")
	flags.BoolVarP(&o.yes, "yes", "y", o.yes, "ask no question")
	flags.StringVar(&o.color, "color", o.color, "always or never: colours on stderr; by default on a terminal, unless NO_COLOR is set")
	flags.BoolVar(&o.noProgress, "no-progress", o.noProgress, "plain lines in place of bars")
	flags.StringVar(&o.progress, "progress", o.progress, "json: progress as JSON lines on stderr")
	flags.BoolVar(&o.noWait, "no-wait", o.noWait, "do not wait for the task: print its number")
	flags.IntVarP(&o.parallel, "parallel", "j", o.parallel, "files that are sent at a time")
	flags.StringSliceVar(&o.architectures, "architectures", o.architectures, "architectures of a new publication or mirror, of a pull and a verification")
	for name, value := range ignored {
		flags.String(name, value, "no effect: it concerns aptly's own database and keys")
		_ = flags.MarkHidden(name)
	}
	flags.Lookup("dep-verbose-resolve").NoOptDefVal = "true"
	for _, name := range follows {
		flags.Bool("dep-follow-"+name, false, "in the resolution of dependencies, follow "+strings.ReplaceAll(name, "-", " "))
	}
}

// begin checks the flags of all commands and prepares the session.
func (s *session) begin(cmd *cobra.Command) error {
	for _, name := range follows {
		f := cmd.Flags().Lookup("dep-follow-" + name)
		if f == nil || !f.Changed {
			continue
		}
		if s.opts.follow == nil {
			s.opts.follow = []string{}
		}
		if f.Value.String() == "true" {
			s.opts.follow = append(s.opts.follow, name)
		}
	}
	if err := s.opts.check(); err != nil {
		return err
	}
	for name := range ignored {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			s.note("--%s has no effect: it concerns aptly's own database and keys", name)
		}
	}
	s.prepare()
	if s.opts.timeout > 0 {
		ctx, cancel := context.WithTimeout(cmd.Context(), s.opts.timeout)
		context.AfterFunc(cmd.Context(), cancel)
		cmd.SetContext(ctx)
	}
	if cmd.Name() != "serve" && s.env.Interrupted != nil {
		context.AfterFunc(cmd.Context(), s.env.Interrupted)
	}
	return nil
}

// command is the command without its flags: the object that has failed.
func (s *session) command() string {
	parts := []string{filepath.Base(s.words[0])}
	for _, w := range s.words[1:] {
		if strings.HasPrefix(w, "-") || len(parts) == 4 {
			break
		}
		parts = append(parts, w)
	}
	return strings.Join(parts, " ")
}

// failure is an error with --json.
type failure struct {
	Error     string `json:"error"`
	Detail    string `json:"detail"`
	Hint      string `json:"hint,omitempty"`
	Status    int    `json:"status,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	Task      int64  `json:"task,omitempty"`
}

// explain prints an error: the command that failed, the reason, and a remedy.
func (s *session) explain(err error) {
	f := failure{Error: s.command() + " failed", Detail: err.Error(), Hint: hintOf(err), Status: client.StatusOf(err)}
	var refused *client.Refusal
	var waiting *client.ErrWaiting
	if errors.As(err, &refused) {
		f.RequestID, f.Task = refused.RequestID, refused.Task
		if f.Hint == "" && codeOfRefusal(refused) == codeMissing {
			f.Hint = s.missingHint(refused)
		}
		if used := s.users(refused); used != "" {
			f.Hint = used
		}
	}
	if errors.As(err, &waiting) {
		f.Task = waiting.Task
	}
	if errors.Is(err, context.Canceled) && f.Hint == "" && s.sending {
		f.Detail, f.Hint = "the upload is interrupted: files that have arrived are not sent again", s.again()
	}
	var wrong *usage
	if errors.As(err, &wrong) {
		f.Error = "wrong use"
		f.Hint = ""
	}
	switch {
	case s.opts.json:
		if data, err := json.Marshal(f); err == nil {
			fmt.Fprintf(s.env.Err, "%s\n", data)
		}
		return
	case s.alias:
		fmt.Fprintf(s.env.Err, "ERROR: %s\n", clean(f.Detail))
		return
	case wrong != nil:
		fmt.Fprintf(s.env.Err, "aptless: %s\n", clean(f.Detail))
		return
	}
	fmt.Fprintf(s.env.Err, "%s\n  %s\n", s.colored(clean(f.Error), red), clean(f.Detail))
	if f.Hint != "" {
		fmt.Fprintf(s.env.Err, "  %s\n", clean(f.Hint))
	}
	if s.opts.verbose {
		fmt.Fprintf(s.env.Err, "  request %s at %s\n", clean(cmp.Or(f.RequestID, "without an ID")), s.env.Now().UTC().Format(time.RFC3339))
	}
}
