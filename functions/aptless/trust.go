package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"aptless/core/front/auth"
)

// Variables of CI jobs. GitHub sets the two for a job with the permission id-token: write.
// A job of GitLab names the first in its id_tokens.
const (
	idTokenVariable      = "APTLESS_ID_TOKEN"
	requestURLVariable   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	requestTokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

func exchangeTokenCommand() *cobra.Command {
	var address, audience, policy string
	cmd := &cobra.Command{
		Use:   "exchange",
		Short: "Exchange the ID token of a CI job for a short token, and print that",
		Long: `Exchange the ID token of a CI job for a short token, and print that: a policy of the server says which jobs get one.

The ID token is that of the variable ` + idTokenVariable + `, or GitHub is asked for one: the job needs the permission id-token: write.
An ID token is exchanged once. "aptless token revoke self" ends the short token with the job.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := dial(address)
			if err != nil {
				return err
			}
			c.token = "" // the ID token is the only credential
			idToken := os.Getenv(idTokenVariable)
			if idToken == "" {
				if idToken, err = githubToken(cmd.Context(), c, audience); err != nil {
					return err
				}
			}
			var made struct{ Token string }
			if err := c.callJSON(cmd.Context(), "POST", "/api/auth/oidc/token", map[string]string{"token": idToken, "policy": policy}, &made); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), made.Token)
			return err
		},
	}
	cmd.Flags().StringVar(&address, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	cmd.Flags().StringVar(&audience, "audience", "", "audience of the ID token; the server is asked if empty")
	cmd.Flags().StringVar(&policy, "policy", "", "name of the policy, if more than one matches")
	return cmd
}

// githubToken asks GitHub for the ID token of the job.
func githubToken(ctx context.Context, c *client, audience string) (string, error) {
	from, secret := os.Getenv(requestURLVariable), os.Getenv(requestTokenVariable)
	if from == "" || secret == "" {
		return "", fmt.Errorf("there is no ID token: %s is empty, and GitHub's %s is, too", idTokenVariable, requestURLVariable)
	}
	if audience == "" {
		var told struct{ Audience string }
		if err := c.callJSON(ctx, "GET", "/api/auth/oidc/audience", nil, &told); err != nil {
			return "", err
		}
		audience = told.Audience
	}
	at, err := url.Parse(from)
	if err != nil {
		return "", fmt.Errorf("%s is no address", requestURLVariable)
	}
	query := at.Query()
	query.Set("audience", audience)
	at.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	answer, err := c.send(r)
	if err != nil {
		return "", err
	}
	var told struct{ Value string }
	if err := json.Unmarshal(answer, &told); err != nil || told.Value == "" {
		return "", errors.New("the answer of GitHub has no ID token")
	}
	return told.Value, nil
}

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "List, show, set and remove trust policies: which CI jobs get a token"}
	cmd.AddCommand(
		showPolicyCommand("list", "List the policies", cobra.NoArgs),
		showPolicyCommand("show NAME", "Show a policy as JSON", cobra.ExactArgs(1)),
		setPolicyCommand(),
		removePolicyCommand(),
	)
	return cmd
}

func policyPath(args []string) string {
	if len(args) == 0 {
		return "/api/auth/policies"
	}
	return "/api/auth/policies/" + url.PathEscape(args[0])
}

func showPolicyCommand(use, short string, args cobra.PositionalArgs) *cobra.Command {
	var address string
	cmd := &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := dial(address)
		if err != nil {
			return err
		}
		var answer any
		if err := c.callJSON(cmd.Context(), "GET", policyPath(args), nil, &answer); err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), answer)
	}}
	cmd.Flags().StringVar(&address, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	return cmd
}

// maxPolicy bounds the file of a policy, in bytes.
const maxPolicy = 64 << 10

func setPolicyCommand() *cobra.Command {
	var address, file string
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Make or replace a policy; its short tokens are revoked",
		Long: `Make or replace a policy from JSON; its short tokens are revoked. Example:

  {"Issuer": "https://token.actions.githubusercontent.com",
   "Claims": {"repository": ["acme/hello"], "environment": ["release"]},
   "Grants": [{"Role": "uploader", "Repos": ["hello"]}]}`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if file != "-" {
				f, err := os.Open(file)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			data, err := io.ReadAll(io.LimitReader(in, maxPolicy))
			if err != nil {
				return err
			}
			if !json.Valid(data) {
				return fmt.Errorf("%s is no JSON", cmp.Or(file, "the input"))
			}
			c, err := dial(address)
			if err != nil {
				return err
			}
			var answer struct {
				auth.Policy
				Warnings []string
			}
			if err := c.callJSON(cmd.Context(), "PUT", policyPath(args), json.RawMessage(data), &answer); err != nil {
				return err
			}
			for _, warning := range answer.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
			}
			return printJSON(cmd.OutOrStdout(), answer.Policy)
		},
	}
	cmd.Flags().StringVar(&address, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	cmd.Flags().StringVar(&file, "file", "-", "file with the policy as JSON; - is standard input")
	return cmd
}

func removePolicyCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{Use: "remove NAME", Short: "Remove a policy, and revoke its short tokens", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := dial(address)
		if err != nil {
			return err
		}
		return c.callJSON(cmd.Context(), "DELETE", policyPath(args), nil, nil)
	}}
	cmd.Flags().StringVar(&address, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	return cmd
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
