package serial

import (
	"fmt"
	"io"
	"time"

	"github.com/smolnet/smolnet/core/packet"
)

// patience is how many times a line may be read without result and without error before it counts as broken.
const patience = 100

// read receives frames until the line ends. While nobody takes them it does not read: then the line is full, and whoever is at
// its other end waits or loses.
func (d *Device) read() {
	var frames deframer
	var buffer [512]byte
	idle := 0
	for {
		n, err := d.line.Read(buffer[:])
		for _, octet := range buffer[:max(n, 0)] {
			if frame, verdict := frames.push(octet); verdict != unfinished && !d.judged(frame, verdict) {
				return
			}
		}
		if n > 0 {
			idle = 0
		} else if idle++; idle == patience && err == nil {
			err = io.ErrNoProgress
		}
		switch {
		case err == io.EOF:
			d.end(fmt.Errorf("serial: %s has ended: %w", d.lineName(), err))
			return
		case err != nil:
			d.end(fmt.Errorf("serial: %w", err))
			return
		}
	}
}

// lineName is what the line is called, if it has a name, as a file has.
func (d *Device) lineName() string {
	if named, ok := d.line.(interface{ Name() string }); ok {
		return named.Name()
	}
	return "the line"
}

// judged counts a frame and keeps it for Receive if it is whole. It reports false if the device has ended.
func (d *Device) judged(frame []byte, verdict verdict) bool {
	switch verdict {
	case badFCS:
		d.badFCS.Add(1)
	case tooLong:
		d.tooLong.Add(1)
	case tooShort:
		d.tooShort.Add(1)
	case aborted:
		d.aborted.Add(1)
	case whole:
		d.received.Add(1)
		p := packet.New(len(frame))
		copy(p.Append(len(frame)), frame)
		return d.keep(p)
	}
	return true
}

// keep keeps a packet for Receive, once there is room for it.
func (d *Device) keep(p *packet.Packet) bool {
	pkts := [1]*packet.Packet{p}
	for {
		n, err := d.in.Send(time.Time{}, pkts[:])
		if err == nil && n == 0 {
			err = d.in.WaitSend()
		}
		switch {
		case err != nil:
			p.Release()
			return false
		case n == 1:
			return true
		}
	}
}

// write writes frames to the line, each by itself.
func (d *Device) write() {
	var pkts [1]*packet.Packet
	buffer := make([]byte, 0, maxFramed)
	for {
		if d.out.WaitReceive() != nil {
			return
		}
		n, err := d.out.Receive(time.Time{}, pkts[:])
		if err != nil {
			return
		}
		if n == 0 {
			continue
		}
		pieces := pkts[0].Pieces()
		framed := appendFrame(buffer, pieces[:]...)
		pkts[0].Release()
		if err := d.writeAll(framed); err != nil {
			d.end(fmt.Errorf("serial: %w", err))
			return
		}
		d.sent.Add(1)
	}
}

// writeAll writes b, also to a line that takes only a part of it at a time and calls that no error, as some do.
func (d *Device) writeAll(b []byte) error {
	for len(b) > 0 {
		n, err := d.line.Write(b)
		switch {
		case err != nil:
			return err
		case n <= 0 || n > len(b):
			return io.ErrShortWrite
		}
		b = b[n:]
	}
	return nil
}
