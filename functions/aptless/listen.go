package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// firstFD is the first file descriptor that systemd passes (sd_listen_fds(3)).
const firstFD = 3

// listen returns the listener passed by systemd, or else one at the address: host:port
// or unix:///path.
func listen(address string) (net.Listener, error) {
	handed, err := activated(os.Getenv, os.Getpid())
	if handed != nil || err != nil {
		return handed, err
	}
	path, ok := strings.CutPrefix(address, "unix://")
	if !ok {
		l, err := net.Listen("tcp", address)
		if err != nil && !strings.Contains(address, ":") {
			return nil, fmt.Errorf("--listen %s: an address is host:port, as 127.0.0.1:8080, or unix:///path/of/socket", address)
		}
		return l, err
	}
	if path == "" {
		return nil, fmt.Errorf("--listen %s: the path of the socket is missing", address)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	return net.Listen("unix", path)
}

// removeStale removes the socket of a killed server. A file of another type stays, and
// so does a socket with a listening process.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil // net.Listen reports another file at the path
	}
	if err != nil {
		return err
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return nil
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// activated returns the socket that systemd passed to the process pid, or nil. It unsets
// systemd's variables, so that child processes do not see them.
func activated(getenv func(string) string, pid int) (net.Listener, error) {
	defer func() {
		for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
			os.Unsetenv(name)
		}
	}()
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS is %q, which is not a number of sockets", getenv("LISTEN_FDS"))
	}
	if n == 0 {
		return nil, nil
	}
	if n > 1 {
		return nil, fmt.Errorf("systemd has handed over %d sockets, and one is served: give the unit one ListenStream", n)
	}
	syscall.CloseOnExec(firstFD)
	file := os.NewFile(firstFD, "socket of systemd")
	defer file.Close() // the listener has a duplicate of the descriptor
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("socket of systemd: %w", err)
	}
	return l, nil
}
