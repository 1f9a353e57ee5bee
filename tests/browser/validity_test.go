package browser

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// elements are the elements that pages use, and the attributes that each may have besides
// the attributes of all elements.
var elements = map[string]string{
	"html": "lang", "head": "", "meta": "charset name content", "title": "", "link": "rel href type", "script": "src defer", "body": "",
	"header": "", "main": "", "footer": "", "nav": "", "h1": "", "h2": "", "h3": "", "p": "", "ul": "", "ol": "", "li": "", "dl": "", "dt": "", "dd": "", "div": "",
	"a": "href rel", "span": "", "b": "", "code": "", "pre": "", "time": "datetime", "br": "", "details": "open", "summary": "",
	"table": "", "caption": "", "thead": "", "tbody": "", "tr": "", "th": "scope", "td": "",
	"form": "action method enctype", "fieldset": "", "legend": "", "label": "for", "button": "type name value", "progress": "max value",
	"input":  "name type value placeholder autocomplete spellcheck list required checked multiple pattern accept min max",
	"select": "name required multiple size", "option": "value selected", "datalist": "", "textarea": "name rows required spellcheck placeholder",
	"svg": "viewBox width height", "path": "d", "rect": "x y width height rx", "text": "x y",
}

// anywhere are the attributes that all elements may have. All that begin with "data-" or
// "aria-" are allowed, too.
var anywhere = []string{"id", "class", "role", "tabindex", "hidden", "title", "translate", "dir"}

// alone are the elements without an end tag.
var alone = []string{"meta", "link", "br", "input"}

// outline is a page as it is read, tag by tag.
type outline struct {
	elements   []string // as treeOf returns them
	found      []string // faults
	open       []string // elements that are not closed yet
	ids        map[string]bool
	references []string // to IDs
}

func (o *outline) fault(format string, args ...any) {
	o.found = append(o.found, fmt.Sprintf(format, args...))
}

// faults reads a page. It finds unknown elements and attributes, and such that are given
// twice. It finds elements that are not closed, and references to IDs that do not exist.
func faults(page string) *outline {
	o := &outline{ids: map[string]bool{}}
	if !strings.HasPrefix(page, "<!doctype html>\n<html lang=\"") {
		o.fault("it does not begin with its type and language: %.60q", page)
	}
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.Entity = false, xml.HTMLEntity
	for good := true; good; {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			o.fault("%v", err)
			return o
		}
		switch tag := token.(type) {
		case xml.StartElement:
			o.start(tag)
		case xml.EndElement:
			good = o.end(tag.Name.Local)
		}
	}
	if len(o.open) > 0 {
		o.fault("not closed: %v", o.open)
	}
	for _, id := range o.references {
		if !o.ids[id] {
			o.fault("there is no ID %q", id)
		}
	}
	return o
}

// start reads a tag that begins an element.
func (o *outline) start(tag xml.StartElement) {
	name := tag.Name.Local
	o.elements = append(o.elements, strings.Repeat(" ", len(o.open))+name)
	own, known := elements[name]
	if !known {
		o.fault("an unknown element: %s", name)
	}
	given := map[string]bool{}
	for _, a := range tag.Attr {
		key := a.Name.Local
		if given[key] {
			o.fault("%s has the attribute %s twice", name, key)
		}
		given[key] = true
		free := slices.ContainsFunc([]string{"data-", "aria-"}, func(begin string) bool { return strings.HasPrefix(key, begin) })
		if !free && !slices.Contains(anywhere, key) && !slices.Contains(strings.Fields(own), key) {
			o.fault("%s must not have the attribute %s", name, key)
		}
		switch key {
		case "id":
			if o.ids[a.Value] || a.Value == "" || strings.ContainsAny(a.Value, " \t\n") {
				o.fault("the ID %q is given twice, or is none", a.Value)
			}
			o.ids[a.Value] = true
		case "for", "list", "aria-labelledby", "aria-describedby", "data-copy":
			o.references = append(o.references, strings.Fields(a.Value)...)
		}
	}
	if !slices.Contains(alone, name) {
		o.open = append(o.open, name)
	}
}

// end reads a tag that ends an element. It reports whether it is the open one.
func (o *outline) end(name string) bool {
	if slices.Contains(alone, name) {
		return true // the decoder makes it of "/>"
	}
	if len(o.open) == 0 || o.open[len(o.open)-1] != name {
		o.fault("</%s> closes %v", name, o.open)
		return false
	}
	o.open = o.open[:len(o.open)-1]
	return true
}

// treeOf has the browser read a page, and returns its elements, each with a space for
// each element around it.
func (b *tab) treeOf(page string) []string {
	b.t.Helper()
	return ask[[]string](b, `((text) => {
		const list = [], walk = (e, depth) => { list.push(" ".repeat(depth) + e.localName); for (const c of e.children) walk(c, depth + 1); };
		walk(new DOMParser().parseFromString(text, "text/html").documentElement, 0);
		return list;
	})(`+quote(page)+`)`)
}

// faultsOf returns the faults of a page. An element that the browser moves is a fault.
func (b *tab) faultsOf(page string) []string {
	b.t.Helper()
	o := faults(page)
	if ours, read := o.elements, b.treeOf(page); len(o.found) == 0 && !slices.Equal(ours, read) {
		i := 0
		for i < min(len(ours), len(read)) && ours[i] == read[i] {
			i++
		}
		o.fault("the browser reads another tree: %q becomes %q", ours[max(0, i-1):min(i+3, len(ours))], read[max(0, i-1):min(i+3, len(read))])
	}
	return o.found
}

// valid fails the test if the HTML of the page is not valid, as the server sends it.
func (b *tab) valid(label string) {
	b.t.Helper()
	page := ask[string](b, `fetch(location.href).then(r => r.text())`, chromedp.EvalAwaitPromise)
	for _, fault := range b.faultsOf(page) {
		b.t.Errorf("%s: %s", label, fault)
	}
}

// TestFaultsOfHTMLAreFound: each page below has one.
func TestFaultsOfHTMLAreFound(t *testing.T) {
	b := open(t, serve(t))
	b.visit("/")
	page := func(body string) string {
		return "<!doctype html>\n<html lang=\"en\"><head><title>x</title></head><body>" + body + "</body></html>"
	}
	if found := b.faultsOf(page(`<main id="a"><p>text</p><label for="b">x</label><input id="b" name="q"></main>`)); len(found) > 0 {
		t.Errorf("a valid page: %q", found)
	}
	for body, want := range map[string]string{
		`<p><ul><li>x</li></ul></p>`:                         "the browser reads another tree",
		`<div><p>x</div>`:                                    "</div> closes",
		`<div>`:                                              "</body> closes",
		`<table><tr><td>x</td></tr></table>`:                 "the browser reads another tree",
		`<p id="a">x</p><p id="a">y</p>`:                     `the ID "a"`,
		`<label for="none">x</label>`:                        `there is no ID "none"`,
		`<center>x</center>`:                                 "an unknown element",
		`<p style="color: red">x</p>`:                        "p must not have the attribute style",
		`<input name="a" name="b">`:                          "has the attribute name twice",
		`<form action="/a"><form action="/b"></form></form>`: "the browser reads another tree",
	} {
		if found := strings.Join(b.faultsOf(page(body)), "; "); !strings.Contains(found, want) {
			t.Errorf("%s: %q, want %q", body, found, want)
		}
	}
}
