package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

func (s *session) dbCommand() *cobra.Command {
	var dry, verbose bool
	cleanup := s.leaf("cleanup", "Delete the files and records that nothing refers to", count{0, 0}, func(ctx context.Context, _ []string) error {
		if dry {
			if err := s.needsAptless(ctx, "--dry-run"); err != nil {
				return err
			}
			return show(ctx, s, client.PlanCleanup(), s.printUnneeded)
		}
		if err := s.confirm("Delete all files and records that nothing refers to?"); err != nil {
			return err
		}
		return change(ctx, s, client.Cleanup(), "The storage is cleaned up.")
	})
	cleanup.Flags().BoolVar(&dry, "dry-run", false, "count the things that would be deleted, and delete none")
	cleanup.Flags().BoolVar(&verbose, "verbose", false, "no effect: the output of the task says all")
	return group("db", "The storage of the server", cleanup,
		s.leaf("recover", "Restore published files that are missing, as fsck --repair", count{0, 0}, func(ctx context.Context, _ []string) error {
			return s.fsck(ctx, false, true)
		}))
}

func (s *session) graphCommand() *cobra.Command {
	var format, layout, output string
	c := s.leaf("graph", "Show how mirrors, repositories, snapshots and publications depend on each other", count{0, 0}, func(ctx context.Context, _ []string) error {
		if output == "" && s.printer.width > 0 {
			return s.tree(ctx)
		}
		if output != "" && format == "" {
			format = strings.TrimPrefix(filepath.Ext(output), ".")
		}
		if format == "" {
			format = "gv"
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		data, err := c.Fetch(ctx, client.Graph(format, layout))
		if err != nil {
			return err
		}
		if output == "" {
			_, err = s.env.Out.Write(data)
			return err
		}
		if err := os.WriteFile(output, data, 0o644); err != nil {
			return usagef("--output: %v", err)
		}
		s.say("Output saved to %s", output)
		return nil
	})
	c.Flags().StringVar(&format, "format", "", "gv for the text of Graphviz, or a format of its program dot, as png or svg")
	c.Flags().StringVar(&layout, "layout", "horizontal", "horizontal or vertical")
	c.Flags().StringVar(&output, "output", "", "file to write")
	return c
}

// tree prints each publication with its sources.
func (s *session) tree(ctx context.Context) error {
	return show(ctx, s, client.ListPublications(), func(all []client.Publication) error {
		for _, p := range all {
			lines := []string{prefixOf(p) + "/" + p.Distribution}
			for _, v := range p.Sources {
				lines = append(lines, "  "+v.Component+": "+map[string]string{"local": "repo ", "snapshot": "snapshot "}[p.SourceKind]+v.Name)
			}
			if err := s.printer.lines(lines); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *session) configCommand() *cobra.Command {
	taken := count{0, 0}
	if s.alias { // aptly ignores further arguments of this command
		taken.most = -1
	}
	return group("config", "The settings of this client", s.leaf("show", "Show the settings and where each comes from", taken, func(context.Context, []string) error {
		set, err := s.env.settle(s.opts, s.alias)
		if err != nil {
			return err
		}
		token, from := "none", ""
		if set.Token != "" {
			token, from = "(secret)", set.tokenOf
		} else if set.tokenOf != "" {
			token, from = set.Auth, set.tokenOf
		}
		all := map[string]string{"url": set.URL, "urlFrom": set.urlFrom, "profile": set.name, "file": set.file, "token": token, "tokenFrom": from}
		if s.opts.json || s.alias {
			raw, err := json.Marshal(all)
			if err != nil {
				return err
			}
			return s.printer.json(raw)
		}
		return s.printer.fields([]field{{"Server", word(set.URL)}, {"Server from", word(set.urlFrom)}, {"Profile", word(set.name)}, {"File", word(set.file)},
			{"Token", word(token)}, {"Token from", word(from)}})
	}))
}

func (s *session) versionCommand() *cobra.Command {
	return s.leaf("version", "Show the versions of this client and of the server", count{0, 0}, func(ctx context.Context, _ []string) error {
		if s.alias {
			_, err := fmt.Fprintf(s.env.Out, "aptly version: %s\n", s.env.Version)
			return err
		}
		fmt.Fprintf(s.env.Out, "client\t%s\n", s.env.Version)
		return show(ctx, s, client.ShowVersion(), func(v client.Version) error {
			_, err := fmt.Fprintf(s.env.Out, "server\t%s\n", v.Version)
			return err
		})
	})
}

func (s *session) whoamiCommand() *cobra.Command {
	return s.leaf("whoami", "Show who the server takes you for", count{0, 0}, func(ctx context.Context, _ []string) error {
		return show(ctx, s, client.ShowIdentity(), func(p client.Identity) error {
			if p.Kind == "open" {
				s.say("The server has no authentication.")
				return nil
			}
			fields := []field{{"Name", word(p.Name)}, {"Kind", word(p.Kind)}, {"Owner", word(p.Owner)}, {"Token", word(p.ID)}}
			for _, line := range grantLines(p.Grants) {
				fields = append(fields, field{"Grant", word(line)})
			}
			return s.printer.fields(fields)
		})
	})
}

// grantLines returns a line for each grant: its role, then its other members by their names,
// as in "publisher Publish=.//stable Repos=a,b". Grants of another form have no line.
func grantLines(grants json.RawMessage) (lines []string) {
	var all []map[string]any
	if json.Unmarshal(grants, &all) != nil {
		return nil
	}
	for _, g := range all {
		var words []string
		if role, ok := g["Role"].(string); ok {
			words = append(words, role)
		}
		for _, name := range slices.Sorted(maps.Keys(g)) {
			switch v := g[name].(type) {
			case []any:
				words = append(words, name+"="+strings.Trim(strings.Join(strings.Fields(fmt.Sprint(v)), ","), "[]"))
			case string:
				if name != "Role" {
					words = append(words, name+"="+v)
				}
			default:
				words = append(words, fmt.Sprintf("%s=%v", name, v))
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

func (s *session) filesCommand() *cobra.Command {
	ls := s.leaf("list [DIR]", "List the upload directories, or the files of one", count{0, 1}, func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return show(ctx, s, client.ListUploadDirs(), s.printer.lines)
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		aptless, err := c.Aptless(ctx)
		if err != nil {
			return err
		}
		if !aptless { // aptly tells the names only
			return show(ctx, s, client.ListUploads(args[0]), s.printer.lines)
		}
		return show(ctx, s, client.ListUploadDetails(args[0]), func(all []client.File) error {
			var rows [][]cell
			for _, f := range all {
				rows = append(rows, []cell{word(f.Name), size(f.Size), word(f.SHA256)})
			}
			return s.printer.table([]string{"name", "size", "sha-256"}, rows)
		})
	})
	up := s.leaf("upload DIR FILE|FOLDER...", "Upload files to a directory", count{2, -1}, func(ctx context.Context, args []string) error {
		files, err := s.collect(args[1:])
		if err != nil {
			return err
		}
		done, err := s.upload(ctx, args[0], files)
		if err != nil {
			return err
		}
		s.say("%d files are uploaded, %d were there", done.Sent, done.There)
		return nil
	})
	drop := s.leaf("drop DIR", "Remove an upload directory", one(), func(ctx context.Context, args []string) error {
		return change(ctx, s, client.DropUploads(args[0]), "the upload directory %s is removed", args[0])
	})
	return group("files", "The upload area", ls, up, drop)
}

// keyCommands are those of keys on a server.
func (s *session) keyCommands() []*cobra.Command {
	print := func(lint bool) func(ctx context.Context, _ []string) error {
		return func(ctx context.Context, _ []string) error {
			return show(ctx, s, client.ListSigningKeys(), func(all []client.SigningKey) error { return s.printKeys(all, lint) })
		}
	}
	return []*cobra.Command{
		s.leaf("list", "List the signing keys of the server", count{0, 0}, print(false)),
		s.leaf("lint", "Show the problems that apt has with the signing keys; fail if it refuses one", count{0, 0}, print(true)),
		s.keyRotate(), s.trustedCommand(),
	}
}

func (s *session) printKeys(all []client.SigningKey, lint bool) error {
	var rows [][]cell
	refused := false
	for _, k := range all {
		if !lint {
			rows = append(rows, []cell{word(k.Fingerprint), word(k.Algorithm), s.printer.at(moment(k.Expires)), words(k.UserIDs)})
		}
		for _, p := range k.Problems {
			if lint {
				rows = append(rows, []cell{word(k.Fingerprint), word(p.Code), yes(p.Fatal), word(p.Text)})
				refused = refused || p.Fatal
			}
		}
	}
	header := []string{"fingerprint", "algorithm", "expires", "name"}
	if lint {
		header = []string{"fingerprint", "problem", "refused", "text"}
	}
	if len(rows) > 0 {
		if err := s.printer.table(header, rows); err != nil {
			return err
		}
	}
	if refused {
		return &silent{codeFailed}
	}
	return nil
}

// trustedCommand makes the commands of the keys whose signatures mirrors need.
func (s *session) trustedCommand() *cobra.Command {
	var ring, server string
	ls := s.leaf("list", "List the trusted keys", count{0, 0}, func(ctx context.Context, _ []string) error {
		return show(ctx, s, client.ListTrustedKeys(ring), func(v client.TrustedKeys) error {
			var rows [][]cell
			for _, k := range v.Keys {
				rows = append(rows, []cell{word(k.Fingerprint), words(k.UserIDs)})
			}
			return s.printer.table([]string{"fingerprint", "name"}, rows)
		})
	})
	add := s.leaf("add FILE|ID...", "Trust keys: armoured files, or IDs at a key server", count{1, -1}, func(ctx context.Context, args []string) error {
		for _, arg := range args {
			call := client.TrustKey(ring, "", server, arg)
			if server == "" {
				data, err := os.ReadFile(arg)
				if err != nil {
					return usagef("%v: an ID needs --keyserver", err)
				}
				call = client.TrustKey(ring, string(data), "", "")
			}
			if err := change(ctx, s, call, "%s is trusted", arg); err != nil {
				return err
			}
		}
		return nil
	})
	drop := s.leaf("drop ID", "Trust a key no more", one(), func(ctx context.Context, args []string) error {
		return change(ctx, s, client.DistrustKey(ring, args[0]), "%s is trusted no more", args[0])
	})
	add.Flags().StringVar(&server, "keyserver", "", "the key server that has the IDs")
	c := group("trusted", "Keys whose signatures mirrors and uploads need", ls, add, drop)
	c.PersistentFlags().StringVar(&ring, "keyring", "", "the keyring of the server, by its name")
	return c
}
