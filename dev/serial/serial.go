// Package serial is a device at the end of a serial line, a UART for example, with an IEEE 802.15.4 radio at the other: what
// goes over the line are the radio's frames, both ways. The line is whatever has Read, Write and Close. Open makes one of a
// terminal device on Linux, such as /dev/ttyUSB0; a pipe, a pseudo-terminal or a TCP connection does as well.
//
// # On the line
//
// Frames are framed as PPP frames them on asynchronous lines (RFC 1662), without PPP's address and control fields, which is
// what the firmware of Thread's radios calls HDLC-Lite. After any noise the receiver finds the next frame by itself, damage goes
// unnoticed once in 65,536 times, and there is code for it for every microcontroller. SLIP (RFC 1055) would be a little simpler
// and notice nothing. A frame is
//
//	0x7e | MAC frame, 2 to 125 octets, escaped | FCS-16, 2 octets, escaped | 0x7e
//
// The MAC frame is that of IEEE 802.15.4, from its frame control on, without the frame check sequence at its end: the radio
// makes and verifies that one, which covers the air only.
//
// The FCS-16 is that of RFC 1662, appendix C.2, over the MAC frame before it is escaped: the polynomial x¹⁶ + x¹² + x⁵ + 1,
// least significant bit first (0x8408), beginning with 0xffff, and complemented in the end. Its less significant octet comes
// first. The FCS-16 of the octets "123456789" is 0x906e, and so 6e 90 on the line.
//
// Escaped are the octets 0x7e (flag), 0x7d (escape), 0x11 (XON) and 0x13 (XOFF): instead of each comes 0x7d and the octet
// with bit 0x20 inverted. A receiver inverts that bit of whatever follows 0x7d, so a sender may escape more. An XON or XOFF
// that is not escaped is none of a frame's octets, but of whoever is between the ends and minds the flow; it is ignored.
//
// A flag ends a frame and begins the next: one between two frames is enough, and any number does no harm. This package writes
// a flag before and after each frame, so that noise while the line was idle costs no frame. A frame that ends with 0x7d before
// the flag was given up by its sender.
//
// An acknowledgment with sequence number 0x7e is on the line, spaces for the reader:
//
//	7e 02 00 7d5e 8d e9 7e
//
// There is nothing on the line but frames: the radio's channel, power, PAN and addresses are set by other means, or it
// delivers everything that it hears.
package serial

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

// How much waits, in frames. What waits to be written is little, since it delays everything behind it: 8 frames are 0.1 s at
// 115,200 baud.
const (
	incoming = 64
	outgoing = 8
)

// mtu is the largest IP packet, in octets, that 6LoWPAN carries: "The MTU size for IPv6 packets over IEEE 802.15.4 is 1280
// octets."
// https://www.rfc-editor.org/rfc/rfc4944.html#section-4
const mtu = 1280

// Config says what is at the other end.
type Config struct {
	// EUI64 is the radio's extended address, the company's octets first. Zero: the stack's configuration chooses.
	EUI64 [8]byte

	// Acknowledges says that the radio sends acknowledgments, waits for them and retransmits itself, which a serial line is
	// too slow for the stack to do in time. Default: it does not.
	Acknowledges bool
}

// Counters say what passed and what had to be dropped.
type Counters struct {
	Received uint64 // frames, whole and right
	Sent     uint64 // frames, written to the line

	// BadFCS counts frames received with a wrong check sequence. Noise counts too: where it began no frame can be seen.
	BadFCS uint64
	// TooLong counts frames received with more than 125 octets, and TooShort those with fewer than 2.
	TooLong, TooShort uint64
	// Aborted counts frames received that their sender has given up.
	Aborted uint64
}

// Device is a device over a serial line. It implements dev.Device.
//
// A line cannot be used without waiting. So two goroutines of the device's wait for it, and end with the device.
type Device struct {
	line    io.ReadWriteCloser
	caps    dev.Capabilities
	in, out *link.Queue

	received, sent, badFCS, tooLong, tooShort, aborted atomic.Uint64

	mu  sync.Mutex
	err error // why the device has ended
}

var _ dev.Device = (*Device)(nil)

// New makes a device of a line and takes it over: it is closed with the device, and when it fails. Closing the line must wake who is
// in its Read and Write, as files, connections and pipes do; otherwise the device's goroutines last until the line does so.
func New(line io.ReadWriteCloser, cfg Config) *Device {
	d := &Device{
		line: line,
		caps: dev.Capabilities{
			Medium:       dev.IEEE802154,
			MTU:          mtu,
			EUI64:        cfg.EUI64,
			Acknowledges: cfg.Acknowledges,
		},
		in:  link.NewQueue(0, incoming, 0),
		out: link.NewQueue(0, outgoing, 0),
	}
	go d.read()
	go d.write()
	return d
}

// Capabilities says what the configuration said. The MTU is 1280.
func (d *Device) Capabilities() dev.Capabilities { return d.caps }

// Counters returns what has passed and what was dropped so far.
func (d *Device) Counters() Counters {
	return Counters{
		Received: d.received.Load(),
		Sent:     d.sent.Load(),
		BadFCS:   d.badFCS.Load(),
		TooLong:  d.tooLong.Load(),
		TooShort: d.tooShort.Load(),
		Aborted:  d.aborted.Load(),
	}
}

// Receive takes frames that have come over the line.
func (d *Device) Receive(now time.Time, pkts []*packet.Packet) (int, error) {
	n, err := d.in.Receive(now, pkts)
	return n, d.reason(err)
}

// Send has frames written to the line, as many as there is room for: a few. A frame of more than 125 octets is an error.
func (d *Device) Send(now time.Time, pkts []*packet.Packet) (int, error) {
	n, bad := link.CheckFrames(&d.caps, pkts)
	sent, err := d.out.Send(now, pkts[:n])
	if err == nil && sent == n && bad != nil {
		return sent, fmt.Errorf("serial: %w", bad)
	}
	return sent, d.reason(err)
}

// PollAt reports that time makes no difference.
func (d *Device) PollAt() (time.Time, bool) { return time.Time{}, false }

// WaitReceive waits until a frame has come.
func (d *Device) WaitReceive() error { return d.reason(d.in.WaitReceive()) }

// WaitSend waits until enough was written to the line.
func (d *Device) WaitSend() error { return d.reason(d.out.WaitSend()) }

// Close closes the line. What was not written yet is lost.
func (d *Device) Close() error {
	d.end(net.ErrClosed)
	return nil
}

// end ends the device, because of the first reason that there is, or because it was closed.
func (d *Device) end(reason error) {
	d.mu.Lock()
	first := d.err == nil
	if first || reason == net.ErrClosed {
		d.err = reason
	}
	d.mu.Unlock()
	if !first {
		return
	}
	_ = d.line.Close() // nothing was buffered that could be lost
	d.in.CloseSender()
	d.in.CloseReceiver()
	d.out.CloseSender()
	d.out.CloseReceiver()
}

// reason is why the device has ended, for a caller to whom a queue said err.
func (d *Device) reason(err error) error {
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}
