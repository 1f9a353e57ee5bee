package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// Bounds of rendering: the time and the size of a picture, and the part of dot's error
// output that clients see, in bytes. Pictures are rendered one at a time.
const (
	drawTime     = time.Minute
	maxPicture   = 64 << 20
	maxComplaint = 1 << 10
)

// format matches dot's output formats: svg, png, svg:cairo.
var format = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_.:-]{0,31}$`)

// dot renders graphs with the program dot of Graphviz.
type dot struct {
	program string
	running chan struct{}
}

func newDot() dot { return dot{"dot", make(chan struct{}, 1)} }

// draw renders a graph. It looks the program up each time, because it may be installed
// while the server runs.
func (d dot) draw(ctx context.Context, as string, graph []byte) ([]byte, error) {
	if !format.MatchString(as) {
		return nil, fmt.Errorf("format %q not recognized", as)
	}
	program, err := exec.LookPath(d.program)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, drawTime)
	defer cancel()
	select {
	case d.running <- struct{}{}:
		defer func() { <-d.running }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	picture, complaint := &limited{max: maxPicture, stop: cancel}, &limited{max: maxComplaint}
	cmd := exec.CommandContext(ctx, program, "-T"+as)
	// dot refuses formats that open a window if there is no display.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(graph), picture, complaint
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	switch {
	case picture.over:
		return nil, fmt.Errorf("picture has more than %d bytes", maxPicture)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, errors.New(strings.TrimSpace(err.Error() + " " + complaint.text.String()))
	}
	return picture.text.Bytes(), nil
}

// limited keeps at most max bytes. It calls stop when more are written.
type limited struct {
	text bytes.Buffer
	max  int
	stop func()
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.text.Len(); len(p) > room {
		if l.over = true; l.stop != nil {
			l.stop()
		}
		l.text.Write(p[:room])
		return len(p), nil
	}
	return l.text.Write(p)
}
