package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/front/auth"
	"aptless/infra/embedded"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Make, list, rotate and revoke tokens of the API"}
	cmd.AddCommand(createTokenCommand(), listTokensCommand(), revokeTokenCommand(), rotateTokenCommand(), exchangeTokenCommand(), &cobra.Command{
		Use:   "generate",
		Short: "Print a new token for the variable " + adminVariable,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), auth.NewSecret(auth.API))
			return err
		},
	})
	return cmd
}

// order is a token as the API takes it.
type order struct {
	Name    string
	Owner   string `json:",omitempty"`
	Kind    string `json:",omitempty"`
	Grants  []auth.Grant
	Expires string `json:",omitempty"`
}

// made is the answer to a creation.
type made struct {
	auth.Token
	Secret string `json:"Token"`
}

func createTokenCommand() *cobra.Command {
	var url, data, role, grants string
	var admin bool
	var can []string
	var o order
	var g auth.Grant
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token and print it",
		Long: `Make a token and print it: the server does not show it again. Without lists of names it is good for all names.
A star in a name is any run of characters: --repo 'team-a-*'.

With --admin and --data it makes an admin token in a data folder whose server is stopped, for a first token or after
the loss of all. The server has authentication from then on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if data != "" {
				if !admin {
					return errors.New("--data is for --admin: other tokens are made by the server")
				}
				return createAdmin(cmd.Context(), cmd.OutOrStdout(), data, o.Name)
			}
			if admin {
				role = string(auth.Admin)
			}
			g.Role = auth.Role(role)
			for _, p := range can {
				g.Can = append(g.Can, auth.Permission(p))
			}
			o.Grants = []auth.Grant{g}
			if grants != "" {
				o.Grants = nil
				if err := json.Unmarshal([]byte(grants), &o.Grants); err != nil {
					return fmt.Errorf("--grants: %w", err)
				}
			}
			c, err := dial(url)
			if err != nil {
				return err
			}
			var answer made
			if err := c.callJSON(cmd.Context(), "POST", "/api/auth/tokens", o, &answer); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), answer.Secret)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&url, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	flags.StringVar(&data, "data", "", "data folder of a server that is stopped, with --admin")
	flags.BoolVar(&admin, "admin", false, "the token may do everything")
	flags.StringVar(&o.Name, "name", "", "name of the token")
	flags.StringVar(&o.Owner, "owner", "", "label of tokens that belong together; the name if empty")
	flags.StringVar(&o.Kind, "kind", "", "api, or download for a token that reads published files only")
	flags.StringVar(&o.Expires, "expires", "", "life of the token, as 90d or 12h, a time, or never; 90d if empty, and 366d of downloads")
	flags.StringVar(&role, "role", "", "reader, uploader, publisher, maintainer, admin or downloader")
	flags.StringSliceVar(&can, "can", nil, "permissions in place of a role, as repo.import,files.write")
	flags.StringVar(&grants, "grants", "", "grants as JSON, in place of all that follows")
	flags.StringSliceVar(&g.Repos, "repo", nil, "names of repositories")
	flags.StringSliceVar(&g.Mirrors, "mirror", nil, "names of mirrors")
	flags.StringSliceVar(&g.Snapshots, "snapshot", nil, "names of snapshots")
	flags.StringSliceVar(&g.Publish, "publish", nil, "publications, as debian//stable or debian//*")
	flags.StringSliceVar(&g.Files, "files", nil, "upload directories")
	flags.StringSliceVar(&g.Tree, "tree", nil, "prefixes of published files")
	return cmd
}

// stopped opens a data folder whose server is stopped.
func stopped(data string) (*embedded.Store, *auth.Store, error) {
	if info, err := os.Stat(data); err != nil {
		return nil, nil, err
	} else if !info.IsDir() {
		return nil, nil, fmt.Errorf("%s is not a folder", data)
	}
	if err := checkFormat(data); err != nil {
		return nil, nil, err
	}
	s, err := embedded.Open(data, embedded.Options{})
	if err != nil {
		return nil, nil, err
	}
	return s, &auth.Store{Table: s.Table, Now: time.Now}, nil
}

// createAdmin makes an admin token in a data folder, and closes it.
func createAdmin(ctx context.Context, out io.Writer, data, name string) (err error) {
	s, store, err := stopped(data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	secret := auth.NewSecret(auth.API)
	if name == "" {
		name = "admin-" + auth.IDOf(auth.Digest(secret))
	}
	if err := adopt(ctx, store, quiet(), secret, name); err != nil {
		return err
	}
	if m, err := store.Mode(ctx); err != nil || !m.Closed() {
		if err := errors.Join(err, setMode(ctx, s.Table, quiet(), store.Close, "closed")); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(out, secret)
	return err
}

// quiet is the log of a command that is no server.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func listTokensCommand() *cobra.Command {
	var url, owner string
	var live, asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the tokens of a server", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := dial(url)
			if err != nil {
				return err
			}
			path := "/api/auth/tokens?owner=" + owner
			if live {
				path += "&live=1"
			}
			var views []auth.View
			if err := c.callJSON(cmd.Context(), "GET", path, nil, &views); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(views)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tKIND\tNAME\tOWNER\tEXPIRES\tLAST USED\tSTATE")
			for _, v := range views {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Kind, v.Name, v.Owner, day(v.Expires, auth.Never), lastUsed(v), state(v))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&url, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	cmd.Flags().StringVar(&owner, "owner", "", "only tokens of this owner")
	cmd.Flags().BoolVar(&live, "live", false, "only tokens that are valid")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func day(at time.Time, zero string) string {
	if at.IsZero() {
		return zero
	}
	return at.UTC().Format(time.DateOnly)
}

func lastUsed(v auth.View) string {
	if v.LastUsed == nil {
		return "-"
	}
	return day(v.LastUsed.At, "-") + " " + v.LastUsed.From
}

func state(v auth.View) string {
	switch {
	case !v.Revoked.IsZero():
		return "revoked"
	case v.Ended(time.Now()) != "":
		return "expired"
	}
	return "valid"
}

func revokeTokenCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "Revoke a token; the ID self is the token that is sent", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := dial(url)
			if err != nil {
				return err
			}
			var gone auth.Token
			if err := c.callJSON(cmd.Context(), "DELETE", "/api/auth/tokens/"+args[0], nil, &gone); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "token %s (%s) was revoked\n", gone.ID, gone.Name)
			return err
		},
	}
	cmd.Flags().StringVar(&url, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	return cmd
}

func rotateTokenCommand() *cobra.Command {
	var url, grace string
	cmd := &cobra.Command{
		Use: "rotate ID", Short: "Replace a token by a new one and print that; the old one ends after a grace", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := dial(url)
			if err != nil {
				return err
			}
			var answer made
			body := map[string]string{"Grace": grace}
			if err := c.callJSON(cmd.Context(), "POST", "/api/auth/tokens/"+args[0]+"/rotate", body, &answer); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), answer.Secret)
			return err
		},
	}
	cmd.Flags().StringVar(&url, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	cmd.Flags().StringVar(&grace, "grace", "24h", "how long the old token is valid, at most 30d")
	return cmd
}

func loginCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Keep a token for a server in a file of yours",
		Long: `Read a token from standard input, ask the server whether it is valid, and keep it for "aptless upload" and
"aptless token". The file is credentials.json in the folder aptless of your configuration, readable by you only.
The variable APTLESS_TOKEN comes before it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if terminal(cmd.OutOrStdout()) {
				fmt.Fprint(cmd.ErrOrStderr(), "Token: ")
			}
			line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1<<10)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			secret := strings.TrimSpace(line)
			if _, ok := auth.KindOf(secret); !ok {
				return errors.New("this is no token of aptless")
			}
			c, err := dial(url)
			if err != nil {
				return err
			}
			c.token = secret
			var me struct{ Kind, Name string }
			if err := c.callJSON(cmd.Context(), "GET", "/api/auth/whoami", nil, &me); err != nil {
				return err
			}
			if me.Kind == string(auth.Open) {
				return fmt.Errorf("%s has no authentication: a token is not needed", address(url))
			}
			kept, err := readCredentials()
			if err != nil {
				return err
			}
			kept[address(url)] = secret
			if err := kept.write(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s knows you as %s\n", address(url), me.Name)
			return err
		},
	}
	cmd.Flags().StringVar(&url, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	return cmd
}

func logoutCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Forget the token that login keeps for a server",
		Long: `Remove the token for a server from the file of "aptless login". The token stays valid: "aptless token revoke" ends it.
No request is made. A token in the variable APTLESS_TOKEN or in a profile stays, too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kept, err := readCredentials()
			if err != nil {
				return err
			}
			if _, ok := kept[address(url)]; !ok {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "no token is kept for %s\n", address(url))
				return err
			}
			delete(kept, address(url))
			if err := kept.write(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the token for %s is forgotten\n", address(url))
			return err
		},
	}
	cmd.Flags().StringVar(&url, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	return cmd
}

func authCommand() *cobra.Command {
	var data string
	var yes bool
	open := &cobra.Command{
		Use:   "open",
		Short: "End authentication of a data folder whose server is stopped",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if !yes {
				return errors.New("every client that reaches the server may do everything then: say --yes")
			}
			s, store, err := stopped(data)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if m, err := store.Mode(cmd.Context()); err != nil || !m.Closed() {
				return err
			}
			return setMode(cmd.Context(), s.Table, quiet(), store.Open, "open")
		},
	}
	open.Flags().StringVar(&data, "data", "data", "the data folder")
	open.Flags().BoolVar(&yes, "yes", false, "end authentication without a question")
	cmd := &cobra.Command{Use: "auth", Short: "Change whether a server has authentication"}
	cmd.AddCommand(open)
	return cmd
}
