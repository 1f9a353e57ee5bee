package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"aptless/core/front/app"
	"aptless/core/front/pages"
)

// pageSettings are the flags of serve for pages in a browser.
type pageSettings struct {
	public string // on or off
	about  pages.About
}

// Values of the flags.
const (
	on  = "on"
	off = "off"
)

func (p *pageSettings) flags(flags *pflag.FlagSet) {
	flags.StringVar(&p.public, "public-page", on, "pages for readers of the repository, with the root page: on or off")
	flags.StringVar(&p.about.Title, "title", "", "name of the repository, on its pages")
	flags.StringVar(&p.about.Text, "about", "", "a sentence on the repository, on its root page")
	flags.StringVar(&p.about.Contact, "contact", "", "address of mail or of a page, on the root page")
}

// check refuses values that the flags do not have.
func (p *pageSettings) check() error {
	if p.public != on && p.public != off {
		return fmt.Errorf("--public-page %q: on or off", p.public)
	}
	return nil
}

// readers returns the settings of the pages for readers, nil without them.
func (p *pageSettings) readers() *app.Pages {
	if p.public == off {
		return nil
	}
	return &app.Pages{About: p.about}
}
