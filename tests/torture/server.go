package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"aptless/core/formats/pgp"
	"aptless/tests/freeport"
)

// key is the key that all servers sign with.
type key struct {
	secret      []byte // armored
	fingerprint string
	ring        *pgp.Keyring
}

func newKey() (key, error) {
	k, err := pgp.Generate("Torture", "torture@example.org", pgp.RSA3072, time.Now().Add(-time.Hour))
	if err != nil {
		return key{}, err
	}
	secret, err := k.SecretArmor(nil)
	if err != nil {
		return key{}, err
	}
	ring, err := pgp.NewKeyring(k.Key)
	return key{secret, k.Fingerprint(), ring}, err
}

// server is a server with aptly's API on a folder. It is killed and started again.
type server struct {
	name   string
	argv   []string
	async  bool // changes are tasks that the client waits for
	root   string
	key    key
	url    string // of the API
	client *http.Client
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended
}

// newServer makes the folder, the configuration and GnuPG's home.
func newServer(c candidate, root string, k key) (*server, error) {
	s := &server{name: c.name, async: c.async, root: root, key: k, client: &http.Client{Timeout: time.Minute}}
	address, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	s.url = "http://" + address + "/api"
	for _, arg := range c.argv {
		s.argv = append(s.argv, strings.NewReplacer("{addr}", address, "{root}", root).Replace(arg))
	}
	config, err := json.Marshal(map[string]any{"rootDir": root, "gpgProvider": "gpg", "architectures": []string{"amd64"}})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(root, 0o700), os.MkdirAll(root+".gnupg", 0o700), os.WriteFile(root+".conf", config, 0o600),
		os.WriteFile(filepath.Join(root, "signing-key.asc"), k.secret, 0o600)); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("gpg"); err != nil {
		return s, nil // aptless does without
	}
	gpg := exec.Command("gpg", "--batch", "--import")
	gpg.Env, gpg.Stdin = s.env(), bytes.NewReader(k.secret)
	if out, err := gpg.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("gpg --import: %w: %s", err, out)
	}
	return s, nil
}

func (s *server) env() []string { return append(os.Environ(), "GNUPGHOME="+s.root+".gnupg") }

// patience bounds the start of a server.
const patience = time.Minute

// start starts the process and waits for its first answer.
func (s *server) start() error {
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Env = s.env()
	log, err := os.OpenFile(s.root+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.cmd, s.ended = cmd, ended
	go func() { cmd.Wait(); close(ended) }()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(5 * time.Millisecond) {
		if r, err := s.client.Get(s.url + "/version"); err == nil {
			r.Body.Close()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("it ended at its start: %s", s.logTail())
		default:
		}
	}
	return fmt.Errorf("it does not answer: %s", s.logTail())
}

func (s *server) logTail() string {
	const most = 1000
	text, _ := os.ReadFile(s.root + ".log")
	return string(text[max(0, len(text)-most):])
}

// kill ends the process as a crash does.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		<-s.ended
		s.cmd = nil
	}
}

// refusal is an answer with a status of 400 or more.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.text) }

// send makes a request. The error is a *refusal, or one of the connection.
func (s *server) send(method, path, contentType string, body []byte) ([]byte, error) {
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = &refusal{answer.StatusCode, method + " " + path + ": " + string(data[:min(len(data), 300)])}
	}
	return data, err
}

// json makes a request with a body of JSON.
func (s *server) json(method, path string, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return s.send(method, path, "application/json", data)
}

// change makes a request with a body of JSON that changes something. An asynchronous client
// gets a task, and waits until it has ended.
func (s *server) change(method, path string, body any) ([]byte, error) {
	if !s.async {
		return s.json(method, path, body)
	}
	data, err := s.json(method, path+"?_async=1", body)
	if err != nil {
		return nil, err
	}
	const succeeded = 2
	var task struct{ ID, State int }
	if err := json.Unmarshal(data, &task); err != nil {
		return nil, err
	}
	at := fmt.Sprintf("/tasks/%d", task.ID)
	if data, err = s.send("GET", at+"/wait", "", nil); err == nil {
		err = json.Unmarshal(data, &task)
	}
	if err != nil {
		return nil, err
	}
	if task.State != succeeded {
		output, _ := s.send("GET", at+"/output", "", nil)
		return nil, &refusal{http.StatusInternalServerError, method + " " + path + ": the task failed: " + string(output[:min(len(output), 300)])}
	}
	var value struct{ Value json.RawMessage }
	if data, err = s.send("GET", at+"/return_value", "", nil); err == nil && json.Unmarshal(data, &value) == nil && value.Value != nil {
		data = value.Value
	}
	return data, err
}

// upload uploads one file to a directory.
func (s *server) upload(dir, name string, data []byte) error {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	field, err := w.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	field.Write(data)
	w.Close()
	_, err = s.send("POST", "/files/"+dir, w.FormDataContentType(), form.Bytes())
	return err
}

// signing are the options of a publication's signature.
func (s *server) signing() map[string]any {
	return map[string]any{"Batch": true, "GpgKey": s.key.fingerprint}
}
