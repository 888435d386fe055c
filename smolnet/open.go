package smolnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
	"github.com/smolnet/smolnet/dialer"
	"github.com/smolnet/smolnet/internal/inet"
	"github.com/smolnet/smolnet/internal/neterr"
	"github.com/smolnet/smolnet/listener"
)

// ConnectTCP is what dialer.Dialer calls, with one of the addresses that Resolve returned. The connection is a
// *TCPConn. Errors are bare: core's, or the context's.
func (s *Stack) ConnectTCP(ctx context.Context, network string, local, remote netip.AddrPort, options dialer.Options) (net.Conn, error) {
	n, err := inet.ParseNetworkOf("tcp", network)
	if err != nil {
		return nil, err
	}
	c, err := s.connectTCP(ctx, n, local, remote, options)
	if err != nil {
		return nil, err // and a nil interface
	}
	return c, nil
}

func (s *Stack) connectTCP(
	ctx context.Context, n inet.Network, local, remote netip.AddrPort, options dialer.Options,
) (*TCPConn, error) {
	c := &TCPConn{ep: endpoint{stack: s, network: n}}
	s.mu.Lock()
	e, err := s.connecting(n, local, remote)
	if err == nil {
		err = s.settle(ctx, e.remote.Addr())
	}
	switch addr := e.remote.Addr(); {
	case err != nil:
	case s.closed:
		err = net.ErrClosed
	case addr.IsMulticast() || s.broadcasts(addr):
		err = ip.ErrNetworkUnreachable // as on Linux, where such an address has no route of the kind that TCP needs
	case e.remote.Port() == 0:
		err = ip.ErrConnectionRefused // nobody listens there
	default:
		c.tcp, err = s.core.TCP().Dial(time.Now(), tcp.DialConfig{
			Local: e.local, Remote: e.remote, Link: e.link, DualStack: n.Family() != '6', Owner: &c.ep, Data: options.Data,
			Options: s.options(options.TCP, options.KeepAlive, options.ReadBuffer, options.WriteBuffer),
		})
	}
	if err != nil {
		s.release()
		return nil, connectError(local, err)
	}
	s.release()
	if err := c.established(ctx); err != nil {
		return nil, connectError(local, err)
	}
	return c, nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// connectError names the system call that would have failed: it was the binding to a local address if that was
// asked for and is what is wrong.
func connectError(local netip.AddrPort, err error) error {
	if local != (netip.AddrPort{}) && (errors.Is(err, ip.ErrAddressInUse) || errors.Is(err, ip.ErrAddressNotAvailable)) {
		return neterr.Map("bind", err)
	}
	return neterr.Map("connect", err)
}

// established waits for the end of the handshake.
func (c *TCPConn) established(ctx context.Context) error {
	s := c.ep.stack
	s.mu.Lock()
	for {
		var err error
		select {
		case <-ctx.Done():
			err = ctx.Err()
		default:
			switch c.tcp.State() {
			case tcp.SynSent, tcp.SynReceived:
			case tcp.Closed:
				if err = c.tcp.Err(); err == nil {
					err = tcp.ErrReset
				}
			default:
				c.ep.write.wake = nil // a Write may never have to wait
				s.unlock()
				return nil
			}
		}
		if !c.ep.open() {
			err = net.ErrClosed
		}
		if err != nil {
			c.ep.close()
			c.tcp.Abort(time.Now())
			c.tcp.Close(time.Now())
			s.release()
			return err
		}
		wake := c.ep.write.prepare()
		s.unlock()
		select {
		case <-wake:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}

// options returns what a connection is to begin with: o, filled up with the others; nil for the stack's defaults, which connections
// share.
func (s *Stack) options(o tcp.Options, keepAlive net.KeepAliveConfig, readBuffer, writeBuffer int) *tcp.Options {
	if o.KeepAlive == (tcp.KeepAlive{}) {
		o.KeepAlive = keepAliveOf(keepAlive, s.keepAlive)
	}
	if o.ReceiveBuffer == 0 {
		o.ReceiveBuffer = readBuffer
	}
	if o.SendBuffer == 0 {
		o.SendBuffer = writeBuffer
	}
	if o == (tcp.Options{KeepAlive: s.keepAlive}) {
		return nil
	}
	return &o
}

// ListenOnTCP is what listener.ListenConfig calls, with an address that Resolve returned. The listener is a
// *TCPListener. Errors are bare: core's, or net.ErrClosed.
func (s *Stack) ListenOnTCP(network string, local netip.AddrPort, options listener.Options) (net.Listener, error) {
	n, err := inet.ParseNetworkOf("tcp", network)
	if err != nil {
		return nil, err
	}
	l, err := s.listenTCP(n, local, options)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (s *Stack) listenTCP(n inet.Network, local netip.AddrPort, options listener.Options) (*TCPListener, error) {
	l := &TCPListener{ep: endpoint{stack: s, network: n}}
	s.mu.Lock()
	defer s.unlock()
	addr, link, dual, err := s.listening(n, local)
	if err == nil {
		err = s.settle(s.ctx, addr.Addr())
	}
	if s.closed {
		return nil, net.ErrClosed
	}
	if err != nil {
		return nil, err
	}
	l.ep.mapped = dual
	l.tcp, err = s.core.TCP().Listen(tcp.ListenConfig{
		Local: addr, Link: link, DualStack: dual, ReusePort: options.ReusePort, Backlog: options.Backlog, Owner: &l.ep,
		Options: s.options(options.TCP, options.KeepAlive, options.ReadBuffer, options.WriteBuffer),
	})
	if err != nil {
		return nil, err
	}
	l.link = link
	return l, nil
}

// ConnectUDP is what dialer.Dialer calls, with one of the addresses that Resolve returned. The socket is a *UDPConn.
// Errors are bare: core's, or the context's.
func (s *Stack) ConnectUDP(ctx context.Context, network string, local, remote netip.AddrPort, options dialer.Options) (net.Conn, error) {
	n, err := inet.ParseNetworkOf("udp", network)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	c, err := s.connectUDP(ctx, n, local, remote, options)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Stack) connectUDP(ctx context.Context, n inet.Network, local, remote netip.AddrPort, options dialer.Options) (*UDPConn, error) {
	s.mu.Lock()
	defer s.unlock()
	e, err := s.connecting(n, local, remote)
	if err == nil {
		err = s.settle(ctx, e.remote.Addr())
	}
	if err != nil {
		return nil, connectError(local, err)
	}
	c, err := s.bindUDP(n, udp.BindConfig{
		Local: e.local, Remote: e.remote, Link: e.link, DualStack: n.Family() != '6', Options: options.UDP,
		ReceiveBuffer: options.ReadBuffer, SendBuffer: options.WriteBuffer,
	})
	if err != nil {
		return nil, connectError(local, err)
	}
	return c, nil
}

// ListenOnUDP is what listener.ListenConfig calls, with an address that Resolve returned. The socket is a *UDPConn.
// Errors are bare: core's, or net.ErrClosed.
func (s *Stack) ListenOnUDP(network string, local netip.AddrPort, options listener.Options) (net.PacketConn, error) {
	n, err := inet.ParseNetworkOf("udp", network)
	if err != nil {
		return nil, err
	}
	c, err := s.listenUDP(n, local, options)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Stack) listenUDP(n inet.Network, local netip.AddrPort, options listener.Options) (*UDPConn, error) {
	s.mu.Lock()
	defer s.unlock()
	addr, link, dual, err := s.listening(n, local)
	if err == nil {
		err = s.settle(s.ctx, addr.Addr())
	}
	if err != nil {
		return nil, err
	}
	c, err := s.bindUDP(n, udp.BindConfig{
		Local: addr, Link: link, DualStack: dual, Options: options.UDP, ReusePort: options.ReusePort, ReuseAddr: options.ReuseAddr,
		ReceiveBuffer: options.ReadBuffer, SendBuffer: options.WriteBuffer,
	})
	if err != nil {
		return nil, err
	}
	c.ep.mapped = addr.Addr().Is6()
	return c, nil
}

func (s *Stack) bindUDP(n inet.Network, config udp.BindConfig) (*UDPConn, error) {
	if s.closed {
		return nil, net.ErrClosed
	}
	c := &UDPConn{ep: endpoint{stack: s, network: n}, connected: config.Remote.IsValid()}
	config.Owner = &c.ep
	var err error
	if c.udp, err = s.core.UDP().Bind(config); err != nil {
		return nil, err
	}
	return c, nil
}
