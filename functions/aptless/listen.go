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

// maxSockets bounds the sockets of one server.
const maxSockets = 16

// socket is a listener, and its address as the operator gave it.
type socket struct {
	net.Listener
	given string
}

// listeners are the sockets of a server, one for each address of --listen or one for each
// socket that systemd passed.
type listeners []socket

// listen returns the listeners passed by systemd, or else one for each address: host:port
// or unix:///path.
func listen(addresses ...string) (listeners, error) {
	handed, err := activated(os.Getenv, os.Getpid())
	if handed != nil || err != nil {
		return handed, err
	}
	if len(addresses) == 0 {
		return nil, errors.New("--listen: there is no address")
	}
	var all listeners
	for _, address := range addresses {
		l, err := listenOn(address)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, socket{l, address})
	}
	return all, nil
}

func listenOn(address string) (net.Listener, error) {
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

// close closes all listeners, and removes their Unix sockets.
func (all listeners) close() {
	for _, l := range all {
		l.Close()
	}
}

// reached returns the first address that other hosts can reach, "" if there is none.
func (all listeners) reached() string {
	for _, l := range all {
		if !loopback(l.Addr()) {
			return l.given
		}
	}
	return ""
}

// plain reports whether a listener is served without TLS in any case: a Unix socket beside
// another address.
func (all listeners) plain(l socket) bool {
	return len(all) > 1 && l.Addr().Network() == "unix"
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

// activated returns the sockets that systemd passed to the process pid, or nil. It unsets
// systemd's variables, so that child processes do not see them.
func activated(getenv func(string) string, pid int) (listeners, error) {
	defer func() {
		for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
			os.Unsetenv(name)
		}
	}()
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS is %q, which is not a number of sockets up to %d", getenv("LISTEN_FDS"), maxSockets)
	}
	var all listeners
	for i := range n {
		l, err := adopted(firstFD + i)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, socket{l, l.Addr().String()})
	}
	return all, nil
}

// adopted returns the listener of a file descriptor.
func adopted(fd int) (net.Listener, error) {
	syscall.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "socket of systemd")
	defer file.Close() // the listener has a duplicate of the descriptor
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("socket of systemd: %w", err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // systemd goes on to listen
	}
	return l, nil
}
