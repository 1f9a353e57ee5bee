package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"aptless/core/front/app"
	"aptless/core/front/console"
	"aptless/core/front/pages"
)

// pageSettings are the flags of serve for pages in a browser.
type pageSettings struct {
	public  string // on or off
	console string // read, full or off
	about   pages.About
}

// Values of the flags.
const (
	on   = "on"
	off  = "off"
	full = "full"
	read = "read"
)

// consolePath is the path of the console.
const consolePath = "/-/"

func (p *pageSettings) flags(flags *pflag.FlagSet) {
	flags.StringVar(&p.public, "public-page", on, "pages for readers of the repository, with the root page: on or off")
	flags.StringVar(&p.console, "console", read, "console for operators at /-/: read (it changes nothing), full (it acts, too) or off")
	flags.StringVar(&p.about.Title, "title", "", "name of the repository, on its pages")
	flags.StringVar(&p.about.Text, "about", "", "a sentence on the repository, on its root page")
	flags.StringVar(&p.about.Contact, "contact", "", "address of mail or of a page, on the root page")
}

// check refuses values that the flags do not have.
func (p *pageSettings) check() error {
	if p.public != on && p.public != off {
		return fmt.Errorf("--public-page %q: on or off", p.public)
	}
	if p.console != full && p.console != read && p.console != off {
		return fmt.Errorf("--console %q: read, full or off", p.console)
	}
	return nil
}

// readers returns the settings of the pages for readers, nil without them.
func (p *pageSettings) readers() *app.Pages {
	if p.public == off {
		return nil
	}
	settings := &app.Pages{About: p.about}
	if p.console != off {
		settings.Console = consolePath
	}
	return settings
}

// around returns the handler of a server with the console beside it.
func (p *pageSettings) around(a *app.App, log *slog.Logger) (http.Handler, error) {
	if p.console == off {
		return a.Handler, nil
	}
	c, err := console.New(console.Settings{Ask: a.Inside, Title: p.about.Title, Reads: p.console == read, Readers: p.public == on, Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	return c.Beside(a.Handler), nil
}
