package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is the time after which a step has failed. Steps do not wait for it: it is long,
// because the machine may have much else to do.
const patience = 4 * time.Minute

//go:embed testdata/axe.min.js
var axe string

// chromium is the browser of all tests.
var chromium = sync.OnceValue(func() context.Context {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.ExecPath("/usr/bin/chromium"), chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("force-device-scale-factor", "1"), chromedp.Flag("hide-scrollbars", true))
	ctx, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ = chromedp.NewContext(ctx)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		panic(err)
	}
	return ctx
})

// tab is a tab of the browser, with cookies of its own.
type tab struct {
	t   testing.TB
	ctx context.Context
	s   *server

	mu       sync.Mutex
	problems []string // requests to other hosts, and reports of the browser
}

// open opens a tab for a server.
func open(t testing.TB, s *server) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium(), chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, s: s}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	return b
}

// note keeps requests to other hosts, and reports of violated policies and of errors.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if at := e.Request.URL; !strings.HasPrefix(at, b.s.url+"/") && !strings.HasPrefix(at, "about:") && !strings.HasPrefix(at, "data:") {
			b.problems = append(b.problems, "request to another host: "+at)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Source == cdplog.EntrySourceSecurity || e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			b.problems = append(b.problems, "report: "+e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+e.ExceptionDetails.Text)
	}
}

// quiet fails the test if the browser has reported anything.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Error(p)
	}
	b.problems = nil
}

// do runs steps.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		at, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("at %s: %v", at, err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](b *tab, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		at, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("at %s: %.200s: %v", at, expression, err)
	}
	return v
}

// visit opens a path of the server.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.s.url + path))
}

// text returns the visible text of the page.
func (b *tab) text() string {
	b.t.Helper()
	return ask[string](b, "document.body.innerText")
}

// shows waits until the page has a text.
func (b *tab) shows(text string) {
	b.t.Helper()
	ctx, cancel := contextOf(b)
	defer cancel()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!document.body && document.body.innerText.includes("+quote(text)+")"))
		if err == nil && there { // an error is a page that goes
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("the page does not show %q: %.3000s", text, b.text())
		}
	}
}

// look sets colours and width.
func (b *tab) look(theme string, width int64) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	if err == nil {
		_, err = chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 600})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// violation is a finding of axe.
type violation struct {
	ID, Help string
	Nodes    []struct {
		HTML           string
		FailureSummary string `json:"failureSummary"`
	}
}

// check fails the test if axe finds a fault in the page as it is. It fails, too, if
// something is wider than the page, or if a text is smaller than 12 pixels.
func (b *tab) check(label string) {
	b.t.Helper()
	if !ask[bool](b, "!!window.axe") {
		ask[bool](b, "(() => {"+axe+"; return true})()")
	}
	found := ask[[]violation](b, `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => r.violations)`, chromedp.EvalAwaitPromise)
	b.fits(label)
	small := ask[[]string](b, `[...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 12).slice(0, 5).map(e => e.outerHTML.slice(0, 120))`)
	for _, v := range found {
		for i, n := range v.Nodes {
			if i < 3 {
				b.t.Errorf("%s: %s (%s): %.300s\n%s", label, v.ID, v.Help, n.HTML, n.FailureSummary)
			}
		}
	}
	for _, e := range small {
		b.t.Errorf("%s: text below 12 px: %s", label, e)
	}
}

// fits fails the test if something is wider than the page.
func (b *tab) fits(label string) {
	b.t.Helper()
	wide := ask[[]string](b, `document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll("main *, header, nav, footer")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest("pre, .graph, .side")).slice(0, 5).map(e => e.outerHTML.slice(0, 120)).concat("page is " + document.documentElement.scrollWidth) : []`)
	for _, e := range wide {
		b.t.Errorf("%s: wider than the page: %s", label, e)
	}
}

// part runs a part of a test.
func (b *tab) part(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		whole := b.t
		b.t = t
		defer func() { b.t = whole }()
		f(t)
		b.quiet()
	})
}

func quote(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}

func escaped(query string) string { return url.QueryEscape(query) }

// glance opens paths, and checks each once: dark and narrow.
func (b *tab) glance(paths ...string) {
	b.t.Helper()
	if *every {
		b.everywhere(paths...)
		return
	}
	for _, path := range paths {
		b.look("dark", 360)
		b.visit(path)
		b.valid(path)
		b.check(path)
		b.look("dark", 1280)
		b.fits(path + " 1280")
	}
	b.quiet()
}

// everywhere opens paths, and checks each in both themes and at both widths.
func (b *tab) everywhere(paths ...string) {
	b.t.Helper()
	for _, path := range paths {
		b.look("light", 1280)
		b.visit(path)
		if title := ask[string](b, "document.title"); title == "" || title == "taken" {
			b.t.Errorf("%s: title %q", path, title)
		}
		b.valid(path)
		b.look("light", 360)
		b.fits(path + " 360")
		for _, width := range []int64{1280, 390} {
			for _, theme := range []string{"light", "dark"} {
				if !*every && (width == 1280) != (theme == "light") {
					continue // each theme and each width once
				}
				b.look(theme, width)
				b.check(fmt.Sprintf("%s %s %d", path, theme, width))
				if *screenshots != "" && *every {
					b.shoot(fmt.Sprintf("%s-%s-%d", strings.Trim(strings.Map(func(r rune) rune {
						if strings.ContainsRune("/?&=%:", r) {
							return '-'
						}
						return r
					}, path), "-"), theme, width))
				}
			}
		}
		b.quiet()
	}
}

var screenshots = flag.String("screenshots", "", "folder for pictures of pages")

var every = flag.Bool("every", false, "check each page in both themes at both widths, and shoot it with -screenshots")

// shoot saves a picture of the page if the test was asked for pictures.
func (b *tab) shoot(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	name = name[max(0, len(name)-100):]
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(*screenshots, name+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestAxeIsAsked plants a fault in a page, which axe finds.
func TestAxeIsAsked(t *testing.T) {
	s := serve(t)
	b := open(t, s)
	b.visit("/")
	ask[bool](b, `document.querySelector("main").append(document.createElement("img")), true`)
	ask[bool](b, "(() => {"+axe+"; return true})()")
	found := ask[[]violation](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations)`, chromedp.EvalAwaitPromise)
	if len(found) != 1 || found[0].ID != "image-alt" {
		t.Errorf("axe finds %+v", found)
	}
}

// contextOf returns a context for one step.
func contextOf(b *tab) (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, patience)
}

// scriptsOff turns the scripts of pages off. The test still evaluates its own.
func (b *tab) scriptsOff() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
}
