package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Linux takes ports from 32768 on by default (net.ipv4.ip_local_port_range).
const lowest, above = 20000, 32000

// Address returns an address of the loopback interface at which nothing listens.
func Address() (string, error) {
	var last error
	for range 100 {
		at := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(above-lowest))
		l, err := net.Listen("tcp", at)
		if err == nil {
			return at, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("no port is free: %w", last)
}
