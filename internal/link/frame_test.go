package link_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/link"
)

func TestCheckFrame(t *testing.T) {
	plain := dev.Capabilities{Medium: dev.IP, MTU: 1500}
	ethernet := dev.Capabilities{Medium: dev.Ethernet, MTU: 1500}
	radio := dev.Capabilities{Medium: dev.IEEE802154, MTU: 1280}
	tso4 := dev.Capabilities{Medium: dev.Ethernet, MTU: 1500, SegmentTCP4: true}
	super := func(p *packet.Packet) {
		p.SegmentSize = 1448
		p.SetPartialChecksum(34, 16)
	}
	tests := []struct {
		name    string
		caps    dev.Capabilities
		size    int
		version byte
		with    func(*packet.Packet)
		want    string
	}{
		{"IP packet of the MTU", plain, 1500, 4, nil, ""},
		{"IP packet beyond it", plain, 1501, 4, nil, "frame of 1501 octets is too long: at most 1500 with an MTU of 1500"},
		{"the link header does not count", ethernet, 1514, 4, nil, ""},
		{"frame beyond it", ethernet, 1515, 4, nil, "frame of 1515 octets is too long: at most 1514 with an MTU of 1500"},
		{"radio frame", radio, 125, 0, nil, ""},
		{"radio frame beyond the PHY", radio, 126, 0, nil, "frame of 126 octets is too long: at most 125"},
		{"super-segment", tso4, 65535 + 14, 4, super, ""},
		{"super-segment beyond IP", tso4, 65535 + 15, 4, super, "frame of 65550 octets is too long: at most 65549"},
		{"super-segment of the other family", tso4, 9000, 6, super, "IP version 6: the device does not segment these"},
		{"super-segment to a plain device", plain, 9000, 4, super, "the device does not segment these"},
		{"super-segment with a whole checksum", tso4, 9000, 4, func(p *packet.Packet) { p.SegmentSize = 1448 },
			"super-segment of 9000 octets without a partial checksum"},
		{"super-segment without headers", tso4, 10, 4, super, "super-segment without headers: 10 octets"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := packet.New(tt.size)
			defer p.Release()
			clear(p.Append(tt.size))
			if header := link.HeaderLen(tt.caps.Medium); header < tt.size {
				p.Head()[header] = tt.version << 4
			}
			if tt.with != nil {
				tt.with(p)
			}
			err := link.CheckFrame(&tt.caps, p)
			if tt.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.want)
			}
		})
	}
}
