package wire

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHardwareAddr(t *testing.T) {
	for _, tt := range []struct {
		name                       string
		addr                       HardwareAddr
		broadcast, multicast, zero bool
	}{
		{"00:00:00:00:00:00", HardwareAddr{}, false, false, true},
		{"02:00:5e:10:00:01", HardwareAddr{0x02, 0, 0x5e, 0x10, 0, 1}, false, false, false},
		{"01:80:c2:00:00:00", HardwareAddr{0x01, 0x80, 0xc2}, false, true, false},
		{"ff:ff:ff:ff:ff:ff", BroadcastHardwareAddr, true, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.name, tt.addr.String())
			require.Equal(t, tt.broadcast, tt.addr.IsBroadcast())
			require.Equal(t, tt.multicast, tt.addr.IsMulticast())
			require.Equal(t, tt.zero, tt.addr.IsZero())
		})
	}
}

func TestMulticastHardwareAddr(t *testing.T) {
	for _, tt := range []struct{ name, group, want string }{
		{"all hosts", "224.0.0.1", "01:00:5e:00:00:01"},
		{"23 bits and no more", "239.255.2.3", "01:00:5e:7f:02:03"},
		{"all nodes", "ff02::1", "33:33:00:00:00:01"},
		{"solicited-node", "ff02::1:ff28:9c5a", "33:33:ff:28:9c:5a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, MulticastHardwareAddr(netip.MustParseAddr(tt.group)).String())
		})
	}
}

func TestParseEthernet(t *testing.T) {
	f, err := ParseEthernet(goldenARPReply)
	require.NoError(t, err)
	require.Equal(t, HardwareAddr{2, 0, 0, 0, 0, 1}, f.Dst())
	require.Equal(t, HardwareAddr{2, 0, 0, 0, 0, 2}, f.Src())
	require.Equal(t, EtherTypeARP, f.EtherType())
	require.Equal(t, goldenARPReply[14:], f.Payload())

	for n := range EthernetHeaderLen {
		_, err := ParseEthernet(goldenARPReply[:n])
		require.Equal(t, ErrTruncated, err, "%d octets", n)
	}
	f, err = ParseEthernet(goldenARPReply[:EthernetHeaderLen])
	require.NoError(t, err, "a header and nothing in it")
	require.Empty(t, f.Payload())
}

func TestEthernetKinds(t *testing.T) {
	for _, tt := range []struct {
		name         string
		etherType    EtherType
		is8023, vlan bool
	}{
		{"a length", 0x0026, true, false},
		{"the largest length", 1500, true, false},
		{"between lengths and types", 0x05ff, true, false},
		{"the least type", 0x0600, false, false},
		{"IPv4", EtherTypeIPv4, false, false},
		{"802.1Q", EtherTypeVLAN, false, true},
		{"802.1ad", EtherTypeQinQ, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := EthernetFrame(make([]byte, EthernetHeaderLen))
			f.SetEtherType(tt.etherType)
			require.Equal(t, tt.is8023, f.Is8023())
			require.Equal(t, tt.vlan, f.IsVLAN())
		})
	}
	require.True(t, EthernetFrame(goldenSpanningTree).Is8023())
	require.True(t, EthernetFrame(goldenVLAN).IsVLAN())
	require.True(t, EthernetFrame(goldenQinQ).IsVLAN())
}

func TestEthernetRepr(t *testing.T) {
	want := EthernetRepr{
		Dst:       HardwareAddr{2, 0, 0, 0, 0, 2},
		Src:       HardwareAddr{2, 0, 0, 0, 0, 1},
		EtherType: EtherTypeIPv4,
	}
	require.Equal(t, goldenEchoRequest[:EthernetHeaderLen], emitted(t, &want))
	require.Equal(t, "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype IPv4 (0x0800)", want.String())

	var got EthernetRepr
	require.NoError(t, got.Parse(goldenEchoRequest))
	require.Equal(t, want, got)
	require.Equal(t, ErrMalformed, got.Parse(goldenSpanningTree), "it has no type")
	require.Equal(t, want, got, "left alone by an error")
}

func TestEthernetString(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"too short", goldenARPRequest[:13], "[|ether]"},
		{"IEEE 802.3", goldenSpanningTree, "02:00:00:00:00:02 > 01:80:c2:00:00:00, 802.3, length 38"},
		{
			"VLAN", goldenVLAN,
			"02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, vlan 5, p 3, " +
				"ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28",
		},
		{
			"VLAN in VLAN", goldenQinQ,
			"02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, vlan 6, p 0, DEI, vlan 7, p 0, " +
				"ARP, Request who-has 192.168.69.100 tell 192.168.69.1, length 28",
		},
		{"VLAN tag cut off", goldenVLAN[:17], "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, [|vlan]"},
		{
			"IEEE 802.3 in a VLAN", unhex("0180c2000000 020000000002 8100 0001 0003 424203"),
			"02:00:00:00:00:02 > 01:80:c2:00:00:00, vlan 1, p 0, 802.3, length 3",
		},
		{
			"unknown type", unhex("ffffffffffff 020000000001 88b5 00010203"),
			"02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype Unknown (0x88b5), length 4",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, EthernetFrame(tt.b).String())
		})
	}
}

func TestEtherTypeString(t *testing.T) {
	for want, etherType := range map[string]EtherType{
		"IPv4 (0x0800)":        EtherTypeIPv4,
		"ARP (0x0806)":         EtherTypeARP,
		"802.1Q (0x8100)":      EtherTypeVLAN,
		"IPv6 (0x86dd)":        EtherTypeIPv6,
		"802.1Q-QinQ (0x88a8)": EtherTypeQinQ,
		"Unknown (0x88b5)":     0x88b5,
	} {
		require.Equal(t, want, etherType.String())
	}
}

func FuzzEthernet(f *testing.F) {
	for _, frame := range goldenFrames {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = EthernetFrame(b).String()
		p, err := ParseEthernet(b)
		if err != nil {
			require.Less(t, len(b), EthernetHeaderLen)
			return
		}
		_, _, _, _ = p.Dst(), p.Src(), p.EtherType(), p.Payload()
		var r, again EthernetRepr
		if r.Parse(p) != nil {
			require.True(t, p.Is8023())
			return
		}
		require.Equal(t, b[:EthernetHeaderLen], emitted(t, &r))
		require.NoError(t, again.Parse(emitted(t, &r)))
		require.Equal(t, r, again)
	})
}
