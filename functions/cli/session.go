package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

// session is one run of the command line.
type session struct {
	env    Env
	opts   options
	alias  bool // the program is called aptly
	helped bool // by the flag --help
	words  []string
	run    func(ctx context.Context, words []string) error // another command, for "task run"

	printer  printer
	reporter *reporter
	settings settings
	client   *client.Client
	in       *signIn  // of the client; nil before it is made
	sending  bool     // an upload is begun and not done
	skipped  []string // arguments under the name aptly that are left out
}

// prepare reads the flags that all commands have.
func (s *session) prepare() {
	width, terminal := s.env.Terminal(s.env.Out)
	if !terminal || s.alias {
		width = 0
	}
	s.printer = printer{out: s.env.Out, width: width, now: s.env.Now()}
	s.reporter = &reporter{how: s.how(), out: s.env.Err, now: s.env.Now}
}

// how returns the form of progress.
func (s *session) how() how {
	_, terminal := s.env.Terminal(s.env.Err)
	switch {
	case s.opts.progress == "json":
		return events
	case s.opts.quiet || s.alias:
		return hidden
	case !terminal || s.opts.noProgress || s.env.Getenv("CI") != "" || s.env.Getenv("TERM") == "dumb" || s.env.Getenv("NO_COLOR") != "" && s.opts.color != "always":
		return plain // bars need escape sequences, too
	}
	return live
}

// Colours of texts on stderr (ECMA-48). They never carry meaning alone.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	normal = "\x1b[0m"
)

// colored returns a text for stderr in a colour, if colours are shown there.
func (s *session) colored(text, color string) string {
	_, terminal := s.env.Terminal(s.env.Err)
	on := terminal && s.env.Getenv("NO_COLOR") == "" && s.env.Getenv("TERM") != "dumb"
	if s.opts.color != "" {
		on = s.opts.color == "always"
	}
	if !on || s.alias || text == "" {
		return text
	}
	return color + text + normal
}

// connect makes the client of the session, once.
func (s *session) connect() (*client.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	var err error
	if s.settings, err = s.env.settle(s.opts, s.alias); err != nil {
		return nil, err
	}
	c, in, err := s.settings.dial(s.env)
	if err != nil {
		return nil, err
	}
	s.in = in
	s.use(c)
	return c, nil
}

// use makes c the client of the session.
func (s *session) use(c *client.Client) {
	if s.reporter.how != hidden {
		c.Watch = s.reporter.task
	}
	if s.opts.verbose {
		c.Trace = func(method, path string, status int, took time.Duration, err error) {
			outcome := fmt.Sprint(status)
			if err != nil {
				outcome = err.Error()
			}
			fmt.Fprintf(s.env.Err, "%s %s %s %s\n", method, path, outcome, took.Round(time.Millisecond))
		}
	}
	if s.opts.limit > 0 {
		c.HTTP.Transport = limiting{c.HTTP.Transport, &limiter{rate: s.opts.limit << 10, now: time.Now, sleep: pause}}
	}
	if s.env.Step != nil {
		c.HTTP.Transport = stepping{c.HTTP.Transport, s.env.Step}
	}
	s.client = c
}

// stepping calls step before each request.
type stepping struct {
	http.RoundTripper
	step func()
}

func (t stepping) RoundTrip(r *http.Request) (*http.Response, error) {
	t.step()
	return t.RoundTripper.RoundTrip(r)
}

// send sends a call and waits for its task, unless the flag --no-wait is given.
func send[T any](ctx context.Context, s *session, call client.Call[T]) (client.Answer[T], error) {
	c, err := s.connect()
	if err == nil && call.Query.Has("ifGeneration") {
		err = s.needsAptless(ctx, "--if-generation")
	}
	if err != nil {
		return client.Answer[T]{}, err
	}
	if call.Task && s.opts.noWait {
		a, err := client.Start(ctx, c, call)
		if err == nil && a.Running {
			_, err = fmt.Fprintln(s.env.Out, a.Task)
		}
		if err == nil && a.Running {
			err = &silent{0}
		}
		return a, err
	}
	a, err := client.Send(ctx, c, call)
	s.reporter.close()
	if client.StatusOf(err) == http.StatusNotFound {
		err = lacking(ctx, c, err)
	}
	for _, w := range a.Warnings {
		s.note("%s", w)
	}
	return a, err
}

// lacking turns 404 of a call that the server does not have into a failure that says so.
// A name that is not there has a text of its own.
func lacking(ctx context.Context, c *client.Client, err error) error {
	if !strings.Contains(err.Error(), "page not found") && err.Error() != "not found" {
		return err
	}
	aptless, asked := c.Aptless(ctx)
	if asked != nil {
		return err
	}
	if aptless {
		return fmt.Errorf("the server is older than this client, and does not have the call (%v): update the server; aptless version tells both", err)
	}
	return fmt.Errorf("the command needs aptless: this server is an aptly that does not have the call (%v)", err)
}

// needsAptless refuses a flag that an aptly server would ignore.
func (s *session) needsAptless(ctx context.Context, flag string) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	aptless, err := c.Aptless(ctx)
	if err == nil && !aptless {
		err = usagef("%s needs aptless: this server is an aptly, which does not know it", flag)
	}
	return err
}

// following returns a call with the flags --dep-follow-*. An aptly does not take them.
func following[T any](ctx context.Context, s *session, call client.Call[T]) (client.Call[T], error) {
	if s.opts.follow == nil {
		return call, nil
	}
	if err := s.needsAptless(ctx, "--dep-follow-*"); err != nil {
		return call, err
	}
	query := url.Values{"follow": {strings.Join(s.opts.follow, ",")}} // an empty value follows nothing
	for name, values := range call.Query {
		query[name] = values
	}
	call.Query = query
	return call, nil
}

// resolving returns a call with the options of the resolution of dependencies.
func resolving[T any](ctx context.Context, s *session, call client.Call[T], deps bool) (client.Call[T], error) {
	if !deps {
		return call, nil
	}
	call, err := following(ctx, s, call)
	return call.With("architectures", strings.Join(s.opts.architectures, ",")), err
}

// show sends a call and prints its answer: as JSON with --json, else by f.
func show[T any](ctx context.Context, s *session, call client.Call[T], f func(T) error) error {
	a, err := send(ctx, s, call)
	if err != nil {
		return err
	}
	return print(s, a, f)
}

// print prints an answer: as JSON with --json, else by f.
func print[T any](s *session, a client.Answer[T], f func(T) error) error {
	if s.opts.json {
		return s.printer.json(a.Raw)
	}
	return f(a.Value)
}

// change sends a call and says its success.
func change[T any](ctx context.Context, s *session, call client.Call[T], format string, args ...any) error {
	return show(ctx, s, call, func(T) error {
		s.say(format, args...)
		return nil
	})
}

// say tells the user a success: on stderr, and as aptly does on stdout.
func (s *session) say(format string, args ...any) {
	if s.opts.quiet {
		return
	}
	to := s.env.Err
	if s.alias {
		to = s.env.Out
	} else {
		format = strings.ReplaceAll(format, "'aptly ", "'aptless ")
	}
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		text := clean(line)
		if to == s.env.Err {
			for mark, color := range map[string]string{"[+]": green, "[-]": red, "[!]": yellow} {
				if rest, ok := strings.CutPrefix(text, mark); ok {
					text = s.colored(mark, color) + rest
					break
				}
			}
		}
		fmt.Fprintln(to, text)
	}
}

// note tells the user a fact on stderr.
func (s *session) note(format string, args ...any) {
	if !s.opts.quiet {
		fmt.Fprintln(s.env.Err, "note: "+clean(fmt.Sprintf(format, args...)))
	}
}

// asks reports whether there is a terminal at which a question is answered.
func (s *session) asks() bool {
	_, in := s.env.Terminal(s.env.In)
	_, out := s.env.Terminal(s.env.Err)
	return !s.opts.yes && !s.alias && in && out
}

// readLine reads the answer to a question.
func (s *session) readLine() (string, error) {
	line, err := bufio.NewReader(s.env.In).ReadString('\n')
	if err != nil && line == "" {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// confirm asks before a removal, if a person is at the terminal.
func (s *session) confirm(format string, args ...any) error {
	if !s.asks() {
		return nil
	}
	fmt.Fprint(s.env.Err, clean(fmt.Sprintf(format, args...))+" [y/N] ")
	line, err := s.readLine()
	if err != nil {
		return &silent{codeFailed}
	}
	if answer := strings.ToLower(line); answer != "y" && answer != "yes" {
		s.say("nothing is changed")
		return &silent{codeFailed}
	}
	return nil
}

// maxQuery bounds a query that is read from a file, in bytes.
const maxQuery = 1 << 20

// text reads "@file" and "@-" as aptly does; another text stands for itself.
func (s *session) text(value string) (string, error) {
	name, ok := strings.CutPrefix(value, "@")
	if !ok {
		return value, nil
	}
	from := s.env.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", usagef("%v", err)
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxQuery))
	return strings.TrimSpace(string(data)), err
}

// queries reads each text, and joins them by "or".
func (s *session) queries(values []string) ([]string, error) {
	var all []string
	for _, v := range values {
		q, err := s.text(v)
		if err != nil {
			return nil, err
		}
		all = append(all, q)
	}
	return all, nil
}

// count is the number of arguments of a command; most -1 is any number.
type count struct{ least, most int }

// leaf makes a command. use begins with its verb and shows its arguments.
func (s *session) leaf(use, short string, n count, run func(ctx context.Context, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < n.least || n.most >= 0 && len(args) > n.most {
				return usagef("%d arguments are given, and the command is: %s", len(args), use)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args) },
	}
}

// group makes a command that has commands below it.
func group(name, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name + " VERB", Short: short, Args: cobra.ArbitraryArgs}
	c.AddCommand(below...)
	c.RunE = func(cmd *cobra.Command, args []string) error { return unknownVerb(cmd, args) }
	return c
}

// unknownVerb is the end of a command without a verb, or with one that is not known.
func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		cmd.SetOut(cmd.ErrOrStderr())
		_ = cmd.Help()
		return &silent{codeUsage}
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	text := fmt.Sprintf("%s has no verb %q", cmd.CommandPath(), args[0])
	if like := near(args[0], names); len(like) > 0 {
		text += ": is it " + strings.Join(like, " or ") + "?"
	}
	return usagef("%s", text)
}
