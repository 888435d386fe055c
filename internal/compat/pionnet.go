package compat

import (
	"net"

	"github.com/pion/transport/v4"

	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

// PionNet is a stack as Pion wants a network: for the field Net of its ICE agents, TURN clients and servers, and so of
// WebRTC. Most methods are the stack's own; those here differ in the types that they return.
type PionNet struct{ *smolnet.Stack }

var _ transport.Net = PionNet{}

// orNone returns what was made as the interface I, which is nil if there is an error, and not a pointer that is nil.
func orNone[I any](made I, err error) (I, error) {
	if err != nil {
		var none I
		return none, err
	}
	return made, nil
}

// DialTCP is the stack's.
func (n PionNet) DialTCP(network string, laddr, raddr *net.TCPAddr) (transport.TCPConn, error) {
	c, err := n.Stack.DialTCP(network, laddr, raddr)
	return orNone[transport.TCPConn](c, err)
}

// DialUDP is the stack's.
func (n PionNet) DialUDP(network string, laddr, raddr *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Stack.DialUDP(network, laddr, raddr)
	return orNone[transport.UDPConn](c, err)
}

// ListenTCP is the stack's.
func (n PionNet) ListenTCP(network string, laddr *net.TCPAddr) (transport.TCPListener, error) {
	l, err := n.Stack.ListenTCP(network, laddr)
	return orNone[transport.TCPListener](pionListener{l}, err)
}

// ListenUDP is the stack's.
func (n PionNet) ListenUDP(network string, laddr *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Stack.ListenUDP(network, laddr)
	return orNone[transport.UDPConn](c, err)
}

// pionListener is a listener whose AcceptTCP returns Pion's type.
type pionListener struct{ *smolnet.TCPListener }

func (l pionListener) AcceptTCP() (transport.TCPConn, error) {
	c, err := l.TCPListener.AcceptTCP()
	return orNone[transport.TCPConn](c, err)
}

// Interfaces returns the stack's interfaces.
func (n PionNet) Interfaces() ([]*transport.Interface, error) {
	interfaces, err := n.Stack.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []*transport.Interface
	for i := range interfaces {
		found, err := pionInterface(&interfaces[i])
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

// InterfaceByIndex is the stack's.
func (n PionNet) InterfaceByIndex(index int) (*transport.Interface, error) {
	i, err := n.Stack.InterfaceByIndex(index)
	if err != nil {
		return nil, err
	}
	return pionInterface(i)
}

// InterfaceByName is the stack's.
func (n PionNet) InterfaceByName(name string) (*transport.Interface, error) {
	i, err := n.Stack.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	return pionInterface(i)
}

func pionInterface(i *smolnet.NetInterface) (*transport.Interface, error) {
	addresses, err := i.Addrs()
	if err != nil {
		return nil, err
	}
	made := transport.NewInterface(i.Interface)
	for _, a := range addresses {
		made.AddAddress(a)
	}
	return made, nil
}

// CreateDialer returns a dialer through the stack with the options of d, of which Control and ControlContext are not
// called: they would set options of a file descriptor.
func (n PionNet) CreateDialer(d *net.Dialer) transport.Dialer {
	made := &dialer.Dialer{
		Stack:           n.Stack,
		Timeout:         d.Timeout,
		Deadline:        d.Deadline,
		LocalAddr:       d.LocalAddr,
		FallbackDelay:   d.FallbackDelay,
		KeepAlive:       d.KeepAlive,
		KeepAliveConfig: d.KeepAliveConfig,
	}
	//lint:ignore SA1019 who still uses it shall be obeyed
	made.Cancel = d.Cancel
	if d.Resolver != nil {
		made.Resolver = d.Resolver
	}
	return made
}

// CreateListenConfig returns what listens on the stack with the options of c, of which Control is not called: it would
// set options of a file descriptor.
func (n PionNet) CreateListenConfig(c *net.ListenConfig) transport.ListenConfig {
	return &listener.ListenConfig{Stack: n.Stack, KeepAlive: c.KeepAlive, KeepAliveConfig: c.KeepAliveConfig}
}
