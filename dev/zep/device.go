package zep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

// Device is a radio over UDP. It implements dev.Device. Frames carry their own acknowledgments, if any: it makes none.
//
// The system can only be waited for, one datagram at a time. So it is WaitReceive that reads, one frame ahead, and Receive only
// hands it out: without somebody in WaitReceive nothing is received.
type Device struct {
	config Config
	caps   dev.Capabilities
	conn   *net.UDPConn
	remote netip.AddrPort
	closed atomic.Bool
	close  sync.Once

	in       []byte // of who waits to receive
	out      []byte // of who sends
	sequence uint32 // of who sends
	hello    []byte // of who receives

	mu      sync.Mutex
	ahead   *packet.Packet // was read and not yet received
	helloAt time.Time      // when the radio is to make itself known next; zero: at once
	told    bool           // WaitReceive has returned for that
	stats   Stats
}

var _ dev.Device = (*Device)(nil)

// mtu is the largest IPv6 packet that 6LoWPAN carries, in octets.
//
// "The MTU size for IPv6 packets over IEEE 802.15.4 is 1280 octets."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-4
const mtu = 1280

// maxUDP is room for any datagram: one that is cut short might be taken for a shorter one, or is an error on some systems.
const maxUDP = 65535

// Open opens a radio. The errors are a Config without Remote, an address that is none or cannot be resolved, and those of the
// system, such as that the local port is in use. That nobody is there at the other end is no error, now or later.
func Open(config Config) (*Device, error) {
	if config.Channel == 0 {
		config.Channel = defaultChannel
	}
	network, local, remote, err := resolve(config.Local, config.Remote)
	if err != nil {
		return nil, fmt.Errorf("zep: %w", err)
	}
	// The socket is not connected to the remote address: the system would have it fail when the other end is not there.
	conn, err := net.ListenUDP(network, local)
	if err != nil {
		return nil, fmt.Errorf("zep: %w", err)
	}
	return &Device{
		config: config,
		caps:   dev.Capabilities{Medium: dev.IEEE802154, MTU: mtu, EUI64: config.EUI64},
		conn:   conn,
		remote: remote,
		in:     make([]byte, maxUDP),
		out:    make([]byte, 0, maxDatagram),
	}, nil
}

// resolve finds out what addresses are meant, both of one version of IP.
func resolve(localName, remoteName string) (network string, local *net.UDPAddr, remote netip.AddrPort, err error) {
	if remoteName == "" {
		return "", nil, remote, errors.New("there is no remote address")
	}
	if localName == "" {
		localName = ":0"
	}
	if local, err = net.ResolveUDPAddr("udp", localName); err != nil {
		return "", nil, remote, fmt.Errorf("local address %q: %w", localName, err)
	}
	network = "udp"
	if local.IP != nil {
		network = version(local)
	}
	to, err := net.ResolveUDPAddr(network, remoteName)
	if err == nil && (to.IP == nil || to.IP.IsUnspecified() || to.Port == 0) {
		err = errors.New("nobody has it")
	}
	if err != nil {
		return "", nil, remote, fmt.Errorf("remote address %q: %w", remoteName, err)
	}
	return version(to), local, canonical(to.AddrPort()), nil
}

// version names the version of UDP over IP that has an address.
func version(a *net.UDPAddr) string {
	if a.IP.To4() != nil {
		return "udp4"
	}
	return "udp6"
}

// canonical is an address in the form in which the same ones are equal.
func canonical(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// LocalAddr is the UDP address at which the radio receives.
func (d *Device) LocalAddr() netip.AddrPort {
	return canonical(d.conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

// Stats returns what has become of frames until now.
func (d *Device) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Capabilities says what the radio is: of the medium IEEE 802.15.4, with an MTU of 1280 and the address of the configuration.
// Acknowledging is left to the stack.
func (d *Device) Capabilities() dev.Capabilities { return d.caps }

// Receive hands out the frame that WaitReceive has read. It also sends the HELLO when it is time.
func (d *Device) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	if d.helloDue(now) {
		d.hello = appendHello(d.hello[:0], &d.config, now)
		_, _ = d.conn.WriteToUDPAddrPort(d.hello, d.remote) // the next one will do
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed.Load():
		return 0, net.ErrClosed
	case d.ahead == nil || len(pkts) == 0:
		return 0, nil
	}
	pkts[0], d.ahead = d.ahead, nil
	return 1, nil
}

// helloDue reports whether it is time for a HELLO.
func (d *Device) helloDue(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.config.Hello || now.Before(d.helloAt) {
		return false
	}
	d.helloAt = now.Add(helloInterval)
	return true
}

// Send sends frames, each in a datagram. If the system's buffer is full it waits; systems empty it at once. A frame of more than
// 125 octets is an error. A datagram that the system refuses is lost, as on the air.
func (d *Device) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	var sent, failed uint64
	defer func() {
		d.mu.Lock()
		d.stats.Sent += sent
		d.stats.SendFailed += failed
		d.mu.Unlock()
	}()
	for i, p := range pkts {
		if d.closed.Load() {
			return i, net.ErrClosed
		}
		if err := link.CheckFrame(&d.caps, p); err != nil {
			return i, fmt.Errorf("zep: %w", err)
		}
		switch err := d.send(now, p); {
		case err == nil:
			sent++
		case errors.Is(err, net.ErrClosed):
			return i, net.ErrClosed
		default:
			failed++
		}
		p.Release()
	}
	return len(pkts), nil
}

// send sends a frame.
func (d *Device) send(now time.Time, p *packet.Packet) error {
	d.sequence++
	d.out = appendHeader(d.out[:0], &d.config, typeData, now, d.sequence, p.Len()+wire.IEEE802154FCSLen)
	for _, piece := range p.Pieces() {
		d.out = append(d.out, piece...)
	}
	d.out = binary.LittleEndian.AppendUint16(d.out, wire.IEEE802154FCS(d.out[headerLen:]))
	_, err := d.conn.WriteToUDPAddrPort(d.out, d.remote)
	return err
}

// PollAt is when the next HELLO is due, if there is to be any.
func (d *Device) PollAt() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.helloAt, d.config.Hello
}

// WaitReceive reads a frame, waiting for it, unless the last one has not been received yet. With Config.Hello it returns at
// once, the first time, for Receive to send the first.
func (d *Device) WaitReceive() error {
	for {
		d.mu.Lock()
		ready := d.ahead != nil || d.config.Hello && !d.told
		d.told = true
		d.mu.Unlock()
		switch {
		case d.closed.Load():
			return net.ErrClosed
		case ready:
			return nil
		}
		n, from, err := d.conn.ReadFromUDPAddrPort(d.in)
		if err != nil {
			if d.closed.Load() {
				return net.ErrClosed
			}
			return fmt.Errorf("zep: %w", err)
		}
		d.keep(d.in[:n], canonical(from))
	}
}

// keep keeps the frame in a datagram for the Receive to come, or counts why there is none.
func (d *Device) keep(datagram []byte, from netip.AddrPort) {
	var frame []byte
	wrong := wrongSource
	// A zone only says by which interface it came.
	if from.Port() == d.remote.Port() && from.Addr().WithZone("") == d.remote.Addr().WithZone("") {
		frame, wrong = parse(datagram, d.config.Channel)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if wrong != none {
		d.stats.Dropped.count(wrong)
		return
	}
	if d.closed.Load() {
		return
	}
	d.stats.Received++
	d.ahead = packet.New(len(frame))
	copy(d.ahead.Append(len(frame)), frame)
}

// WaitSend returns at once: Send always takes all.
func (d *Device) WaitSend() error {
	if d.closed.Load() {
		return net.ErrClosed
	}
	return nil
}

// Close closes the radio.
func (d *Device) Close() error {
	d.close.Do(func() {
		d.closed.Store(true)
		_ = d.conn.Close() // nothing was buffered that could be lost
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.ahead != nil {
			d.ahead.Release()
			d.ahead = nil
		}
	})
	return nil
}
