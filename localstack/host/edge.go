package host

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// edgeFunction is a function of CloudFront: its code runs in node.
type edgeFunction struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	mu  sync.Mutex // held during a call
}

// startEdge starts node with code from the template. runner is infra/edge/run.mjs, and
// dir is for the file with the code.
func startEdge(runner, dir, name, code string) (*edgeFunction, error) {
	file := filepath.Join(dir, name+".js")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		return nil, err
	}
	f := &edgeFunction{cmd: exec.Command("node", runner, file)}
	f.cmd.Stderr = os.Stderr
	in, err := f.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.in, f.out = in, bufio.NewReader(out)
	return f, f.cmd.Start()
}

// edgeRequest is a viewer request as functions of CloudFront see it.
type edgeRequest struct {
	Method  string               `json:"method"`
	URI     string               `json:"uri"`
	Headers map[string]edgeValue `json:"headers"`
}

type edgeValue struct {
	Value string `json:"value"`
}

// edgeAnswer is a changed request, or an answer if it has a status.
type edgeAnswer struct {
	edgeRequest
	StatusCode int `json:"statusCode"`
}

// call runs the function for a request.
func (f *edgeFunction) call(r edgeRequest, values map[string]string) (edgeAnswer, error) {
	line, err := json.Marshal(map[string]any{"event": map[string]any{"request": r}, "values": values})
	if err != nil {
		return edgeAnswer{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.in.Write(append(line, '\n')); err != nil {
		return edgeAnswer{}, err
	}
	text, err := f.out.ReadString('\n')
	if err != nil {
		return edgeAnswer{}, fmt.Errorf("the function of CloudFront has ended: %w", err)
	}
	var a edgeAnswer
	err = json.NewDecoder(strings.NewReader(text)).Decode(&a)
	return a, err
}

func (f *edgeFunction) stop() {
	f.in.Close()
	f.cmd.Process.Kill()
	f.cmd.Wait()
}
