package core

import (
	"testing"

	"github.com/smolnet/smolnet/dev"
)

// A device that carries frames of IEEE 802.15.4 finds no checksum in them to fill in, nor segments, whatever it says.
func TestRadioLeavesNothingToTheDevice(t *testing.T) {
	s := newRadioScript(t, func(c *dev.Capabilities) {
		all := dev.ChecksumRx | dev.ChecksumTx
		c.Acknowledges, c.SegmentTCP4, c.SegmentTCP6 = true, true, true
		c.Checksum = dev.Checksums{IPv4: all, TCP: all, UDP: all, ICMPv4: all, ICMPv6: all}
	})
	request := echo6(linkA, linkB, "there?")
	s.hear(request)
	frames := s.want("with a checksum", "0 to A: IP6 linkB > linkA: ICMP6, echo reply, id 1, seq 2, length 14")
	s.verify(s.packets(frames)[0])
	s.hear(patched(request, len(request)-1, 'x'))
	s.wantIdle("its checksum is wrong")
}
