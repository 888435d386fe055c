package smolnet_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/listener"
	"github.com/smolnet/smolnet/smolnet"
)

// world is package net, or what stands in for it: its functions, so that what is to be done with either is written once.
type world interface {
	Dial(network, address string) (net.Conn, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	DialTimeout(network, address string, timeout time.Duration) (net.Conn, error)
	DialBy(ctx context.Context, d net.Dialer, network, address string) (net.Conn, error)
	DialTCP(network string, laddr, raddr *net.TCPAddr) (tcpConn, error)
	DialUDP(network string, laddr, raddr *net.UDPAddr) (udpConn, error)
	DialIP(network string, laddr, raddr *net.IPAddr) (ipConn, error)
	Listen(network, address string) (net.Listener, error)
	ListenPacket(network, address string) (net.PacketConn, error)
	ListenTCP(network string, laddr *net.TCPAddr) (tcpListener, error)
	ListenUDP(network string, laddr *net.UDPAddr) (udpConn, error)
	ListenIP(network string, laddr *net.IPAddr) (ipConn, error)
	ListenBy(ctx context.Context, network, address string) (net.Listener, error)
	ResolveTCPAddr(network, address string) (*net.TCPAddr, error)
	ResolveUDPAddr(network, address string) (*net.UDPAddr, error)
	ResolveIPAddr(network, address string) (*net.IPAddr, error)
	LookupPort(network, service string) (int, error)
	InterfaceByName(name string) (any, error)
	InterfaceByIndex(index int) (any, error)

	// nothing are nil pointers, and zero the values of each type that nobody has opened.
	nothing() (tcpConn, udpConn, tcpListener)
	zero() (tcpConn, udpConn, tcpListener)
	zeroIP() ipConn
}

// tcpConn is a *net.TCPConn or a *smolnet.TCPConn.
type tcpConn interface {
	stream
	io.ReaderFrom
	io.WriterTo
	CloseRead() error
	SetKeepAlive(bool) error
	SetKeepAliveConfig(net.KeepAliveConfig) error
	SetKeepAlivePeriod(time.Duration) error
	SetNoDelay(bool) error
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
	MultipathTCP() (bool, error)
}

// udpConn is a *net.UDPConn or a *smolnet.UDPConn.
type udpConn interface {
	net.Conn
	net.PacketConn
	ReadFromUDP([]byte) (int, *net.UDPAddr, error)
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error)
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error)
	WriteToUDP([]byte, *net.UDPAddr) (int, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
}

// ipConn is a *net.IPConn or a *smolnet.IPConn.
type ipConn interface {
	net.Conn
	net.PacketConn
	ReadFromIP([]byte) (int, *net.IPAddr, error)
	ReadMsgIP(b, oob []byte) (n, oobn, flags int, addr *net.IPAddr, err error)
	WriteToIP([]byte, *net.IPAddr) (int, error)
	WriteMsgIP(b, oob []byte, addr *net.IPAddr) (n, oobn int, err error)
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
}

// tcpListener is a *net.TCPListener or a *smolnet.TCPListener.
type tcpListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

// kernelWorld is package net.
type kernelWorld struct{}

func (kernelWorld) Dial(network, address string) (net.Conn, error) { return net.Dial(network, address) }

func (kernelWorld) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (kernelWorld) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout(network, address, timeout)
}

func (kernelWorld) DialBy(ctx context.Context, d net.Dialer, network, address string) (net.Conn, error) {
	return d.DialContext(ctx, network, address)
}

func (kernelWorld) DialTCP(network string, laddr, raddr *net.TCPAddr) (tcpConn, error) {
	return orNil[tcpConn](net.DialTCP(network, laddr, raddr))
}

func (kernelWorld) DialUDP(network string, laddr, raddr *net.UDPAddr) (udpConn, error) {
	return orNil[udpConn](net.DialUDP(network, laddr, raddr))
}

func (kernelWorld) DialIP(network string, laddr, raddr *net.IPAddr) (ipConn, error) {
	return orNil[ipConn](net.DialIP(network, laddr, raddr))
}

func (kernelWorld) ListenIP(network string, laddr *net.IPAddr) (ipConn, error) {
	return orNil[ipConn](net.ListenIP(network, laddr))
}

func (kernelWorld) Listen(network, address string) (net.Listener, error) {
	return listenPlain(network, address)
}

func (kernelWorld) ListenPacket(network, address string) (net.PacketConn, error) {
	return net.ListenPacket(network, address)
}

func (kernelWorld) ListenTCP(network string, laddr *net.TCPAddr) (tcpListener, error) {
	return orNil[tcpListener](net.ListenTCP(network, laddr))
}

func (kernelWorld) ListenUDP(network string, laddr *net.UDPAddr) (udpConn, error) {
	return orNil[udpConn](net.ListenUDP(network, laddr))
}

func (kernelWorld) ListenBy(ctx context.Context, network, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, network, address)
}

func (kernelWorld) ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	return net.ResolveTCPAddr(network, address)
}

func (kernelWorld) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	return net.ResolveUDPAddr(network, address)
}

func (kernelWorld) ResolveIPAddr(network, address string) (*net.IPAddr, error) {
	return net.ResolveIPAddr(network, address)
}

func (kernelWorld) LookupPort(network, service string) (int, error) {
	return net.LookupPort(network, service)
}

func (kernelWorld) InterfaceByName(name string) (any, error) { return net.InterfaceByName(name) }
func (kernelWorld) InterfaceByIndex(index int) (any, error)  { return net.InterfaceByIndex(index) }

// nothing is no pointer here: those methods of package net's that another type lends panic then. The stack's do not, and say
// what both say of the zero value.
func (w kernelWorld) nothing() (tcpConn, udpConn, tcpListener) { return w.zero() }

func (kernelWorld) zero() (tcpConn, udpConn, tcpListener) {
	return new(net.TCPConn), new(net.UDPConn), new(net.TCPListener)
}

func (kernelWorld) zeroIP() ipConn { return new(net.IPConn) }

// stackWorld is a stack.
type stackWorld struct{ *smolnet.Stack }

func (w stackWorld) DialBy(ctx context.Context, d net.Dialer, network, address string) (net.Conn, error) {
	ours := dialer.Dialer{
		Stack: w.Stack, Timeout: d.Timeout, Deadline: d.Deadline, LocalAddr: d.LocalAddr, FallbackDelay: d.FallbackDelay,
		//lint:ignore SA1019 deprecated, and works
		Cancel: d.Cancel,
	}
	return ours.DialContext(ctx, network, address)
}

func (w stackWorld) DialTCP(network string, laddr, raddr *net.TCPAddr) (tcpConn, error) {
	return orNil[tcpConn](w.Stack.DialTCP(network, laddr, raddr))
}

func (w stackWorld) DialUDP(network string, laddr, raddr *net.UDPAddr) (udpConn, error) {
	return orNil[udpConn](w.Stack.DialUDP(network, laddr, raddr))
}

func (w stackWorld) DialIP(network string, laddr, raddr *net.IPAddr) (ipConn, error) {
	return orNil[ipConn](w.Stack.DialIP(network, laddr, raddr))
}

func (w stackWorld) ListenIP(network string, laddr *net.IPAddr) (ipConn, error) {
	return orNil[ipConn](w.Stack.ListenIP(network, laddr))
}

func (stackWorld) zeroIP() ipConn { return new(smolnet.IPConn) }

func (w stackWorld) ListenTCP(network string, laddr *net.TCPAddr) (tcpListener, error) {
	return orNil[tcpListener](w.Stack.ListenTCP(network, laddr))
}

func (w stackWorld) ListenUDP(network string, laddr *net.UDPAddr) (udpConn, error) {
	return orNil[udpConn](w.Stack.ListenUDP(network, laddr))
}

func (w stackWorld) ListenBy(ctx context.Context, network, address string) (net.Listener, error) {
	return (&listener.ListenConfig{Stack: w.Stack}).Listen(ctx, network, address)
}

func (w stackWorld) LookupPort(network, service string) (int, error) {
	return w.Resolver().LookupPort(context.Background(), network, service)
}

func (w stackWorld) InterfaceByName(name string) (any, error) { return w.Stack.InterfaceByName(name) }
func (w stackWorld) InterfaceByIndex(index int) (any, error)  { return w.Stack.InterfaceByIndex(index) }

func (stackWorld) nothing() (tcpConn, udpConn, tcpListener) {
	return (*smolnet.TCPConn)(nil), (*smolnet.UDPConn)(nil), (*smolnet.TCPListener)(nil)
}

func (stackWorld) zero() (tcpConn, udpConn, tcpListener) {
	return new(smolnet.TCPConn), new(smolnet.UDPConn), new(smolnet.TCPListener)
}

// orNil is what a function returned, where a nil pointer is a nil interface: that is right beside an error.
func orNil[I, T any](p *T, err error) (i I, _ error) {
	if p == nil {
		return i, err
	}
	return any(p).(I), err
}
