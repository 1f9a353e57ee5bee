package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"aptless/functions/options"
)

var writeOptions = flag.Bool("write-options", false, "write docs/reference/options.md")

// optionsPage is the reference of the options of serve.
const optionsPage = "../../docs/reference/options.md"

// TestOptionsAreDocumented holds that the reference has each option of serve, with its default
// and its meaning. `go test ./functions/aptless -run TestOptionsAreDocumented -write-options`
// writes it.
func TestOptionsAreDocumented(t *testing.T) {
	want := reference()
	if *writeOptions {
		if err := os.WriteFile(optionsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(optionsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date: the flag -write-options writes it", optionsPage)
	}
}

// reference returns the page of the options.
func reference() string {
	var b strings.Builder
	b.WriteString(`# Options of the server

This page is for operators. It is made from the flags of ` + "`aptless serve`" + `. Each option is a flag, a key of the file of settings
without the dashes, and a variable. A flag precedes the variable, and the variable precedes the file. The functions on AWS have the
options with a star, as parameters of the template.

| Option | Variable | Default | Meaning |
|---|---|---|---|
`)
	shared := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(options.Options).Flags(shared)
	serveCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		star, variable := "", "`"+options.Variable(f.Name)+"`"
		if shared.Lookup(f.Name) != nil {
			star = "*"
		}
		if f.Name == "config" {
			variable = "none"
		}
		value := strings.Trim(f.DefValue, "[]")
		if value == "" {
			value = "none"
		}
		fmt.Fprintf(&b, "| `--%s`%s | %s | %s | %s |\n", f.Name, star, variable, value, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
	return b.String()
}
