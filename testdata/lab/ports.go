package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken from below the range that the kernel gives to outgoing connections (32768 and up). A port from that range
// could be in use as such when a stopped API server is started again, and a client that keeps trying could even connect to itself.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freePorts returns a free port of 127.0.0.1 for each name.
func freePorts(names []string) (map[string]int, error) {
	ports := map[string]int{}
	var held []net.Listener
	for _, name := range names {
		l, err := listenAnywhere()
		if err != nil {
			return nil, errors.Join(err, closeAll(held))
		}
		held = append(held, l)
		ports[name] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, closeAll(held)
}

func listenAnywhere() (net.Listener, error) {
	var err error
	for range 100 {
		var l net.Listener
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort))
		if l, err = net.Listen("tcp", addr); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("find a free port: %w", err)
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
