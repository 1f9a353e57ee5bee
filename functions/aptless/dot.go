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

// Bounds of drawing: what one picture may take, and what of dot's complaints is
// told to clients, in bytes. Pictures are made one at a time.
const (
	drawTime     = time.Minute
	maxPicture   = 64 << 20
	maxComplaint = 1 << 10
)

// format is how dot's output formats look: svg, png, svg:cairo.
var format = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_.:-]{0,31}$`)

// dot draws with Graphviz' program of that name, if it is installed.
type dot struct {
	program string
	turn    chan struct{}
}

func newDot() dot { return dot{"dot", make(chan struct{}, 1)} }

// draw returns the picture of a graph. The program is looked up each time: it
// may be installed while we serve.
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
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	picture, complaint := &limited{max: maxPicture, stop: cancel}, &limited{max: maxComplaint}
	cmd := exec.CommandContext(ctx, program, "-T"+as)
	// Without a display, formats that open a window are refused.
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

// limited keeps what is written until it is too much, and then calls stop.
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
