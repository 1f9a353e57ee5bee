package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/front/audit"
)

func auditCommand() *cobra.Command {
	var address, since string
	filters := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Print the audit records of a server as JSON lines",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := json.NewEncoder(cmd.OutOrStdout())
			query := url.Values{}
			for name, value := range filters {
				if *value != "" {
					query.Set(name, *value)
				}
			}
			return eachRecord(cmd.Context(), address, since, query, func(r audit.Record) error { return out.Encode(r) })
		},
	}
	cmd.PersistentFlags().StringVar(&address, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	cmd.PersistentFlags().StringVar(&since, "since", "24h", "how long ago the first record is at most, as 24h or 9600h")
	for _, name := range []string{"event", "by", "owner", "task", "path", "status", "from"} {
		filters[name] = cmd.Flags().String(name, "", "only records with this "+name)
	}
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Verify the chain of the records: name each that was changed, removed or put between others",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := audit.Verifier{Partial: true}
			err := eachRecord(cmd.Context(), address, since, url.Values{}, func(r audit.Record) error {
				v.Add(r)
				return nil
			})
			if err != nil {
				return err
			}
			v.Finish()
			for _, f := range v.Faults {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if len(v.Faults) > 0 {
				return fmt.Errorf("%d of %d records are not as they were written", len(v.Faults), v.Records)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d records are as they were written\n", v.Records)
			return err
		},
	}
	cmd.AddCommand(verify)
	return cmd
}

// eachRecord calls a function with the records of a server, in the order of time.
func eachRecord(ctx context.Context, address, since string, query url.Values, each func(audit.Record) error) error {
	age, err := time.ParseDuration(since)
	if err != nil || age <= 0 {
		return fmt.Errorf("--since %s: a duration as 24h", since)
	}
	c, err := dial(address)
	if err != nil {
		return err
	}
	query.Set("limit", fmt.Sprint(audit.MaxLimit))
	end := time.Now().UTC()
	for from := end.Add(-age).Truncate(time.Second); from.Before(end); from = from.Add(audit.MaxSpan) {
		to := from.Add(audit.MaxSpan)
		query.Set("since", from.Format(time.RFC3339))
		query.Set("until", to.Format(time.RFC3339))
		for after := "first"; after != ""; {
			query.Set("after", after)
			if after == "first" {
				query.Del("after")
			}
			var page audit.Page
			if err := c.callJSON(ctx, "GET", "/api/audit?"+query.Encode(), nil, &page); err != nil {
				return err
			}
			for _, r := range page.Records {
				if err := each(r); err != nil {
					return err
				}
			}
			after = page.Next
		}
	}
	return nil
}
