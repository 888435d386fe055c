package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/raw"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
)

func TestFramesReceived(t *testing.T) {
	const experimental = wire.EtherType(0x88b5)
	unknown := ether(ourHardware, experimental, []byte("payload"))
	for _, tc := range []struct {
		name    string
		kind    wire.EtherType
		frame   []byte
		receive bool
		lost    DropCause // numDropCauses: it is not
	}{
		{"its EtherType", experimental, unknown, true, numDropCauses},
		{"all of them", 0, unknown, true, numDropCauses},
		{"another EtherType", wire.EtherTypeARP, unknown, false, DropEtherType},
		{"IPv4, which the stack takes as well", wire.EtherTypeIPv4, toUs(udpTo(them4, us4, 1000, 7, "")), true, numDropCauses},
		{"to somebody else", experimental, ether(otherHardware, experimental, []byte("payload")), true, DropOtherHost},
		{"an IEEE 802.3 frame", 0, ether(ourHardware, 4, []byte("llc!")), true, numDropCauses},
		{"a tagged one", wire.EtherTypeVLAN, ether(ourHardware, wire.EtherTypeVLAN, []byte("....")), true, numDropCauses},
		{"shorter than its header", 0, unknown[:13], false, DropFrameTruncated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScript(t).knowing()
			s.bind("0.0.0.0:7")
			e := s.frames(raw.FrameConfig{EtherType: tc.kind})
			s.recv(tc.frame)
			drops := s.stack.Counters().Drops
			if tc.lost == numDropCauses {
				require.Zero(t, drops.Total(), "%v", drops)
			} else {
				require.EqualValues(t, 1, drops[tc.lost])
			}
			if !tc.receive {
				require.Nil(t, e.Receive())
				return
			}
			p := e.Receive()
			require.Equal(t, s.link.Index(), p.IP.Link)
			require.Equal(t, tc.frame, octets(p))
			e.Close()
			s.recv(tc.frame)
			require.Zero(t, e.Received())
		})
	}
}

func TestFramesSent(t *testing.T) {
	s := newScript(t)
	e := s.frames(raw.FrameConfig{EtherType: 0x88b5})
	frame := ether(otherHardware, 0x88b5, []byte("payload"))
	for range 2 {
		require.NoError(t, e.Send(s.now, packetOf(frame)))
	}
	s.stack.routesChanged() // which is nothing to a frame
	require.Equal(t, [][]byte{frame, frame}, s.send())
	require.ErrorIs(t, e.Send(s.now, packetOf(frame[:13])), ip.ErrInvalid)
	require.ErrorIs(t, e.Send(s.now, packetOf(make([]byte, 1515))), ip.ErrMessageTooLong)
	require.NoError(t, e.Send(s.now, packetOf(make([]byte, 1514))))
	s.skip()

	require.NoError(t, e.Send(s.now, packetOf(frame)))
	require.NoError(t, s.stack.RemoveInterface(s.now, s.link))
	require.ErrorIs(t, e.Err(), ip.ErrNoDevice)
	require.ErrorIs(t, e.Send(s.now, packetOf(frame)), ip.ErrNoDevice)
	s.stack.PollLoopback(s.now)
	require.EqualValues(t, 1, s.stack.Counters().Drops[DropInterfaceRemoved]+s.link.Counters().Drops[DropInterfaceRemoved])
	e.Close()
}

func TestFramesOfAMediumWithout(t *testing.T) {
	s := newScript(t, func(c *dev.Capabilities) { c.Medium = dev.IP })
	_, err := s.stack.Raw().OpenFrames(raw.FrameConfig{Link: s.link.Index()})
	require.ErrorIs(t, err, ip.ErrNotSupported)
	_, err = s.stack.Raw().OpenFrames(raw.FrameConfig{Link: 99})
	require.ErrorIs(t, err, ip.ErrNoDevice)
}
