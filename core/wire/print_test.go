package wire

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFormatIP(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "IP [|ip]"},
		{"neither version", unhex("50000000"), "IP unknown version 5, length 4"},
		{"version 4", goldenEchoReply[14:], "IP 192.168.69.100 > 192.168.69.1: ICMP echo reply, id 22248, seq 1, length 24"},
		{"version 4 alone", []byte{0x45}, "IP [|ip]"},
		{"version 6 alone", []byte{0x60}, "IP6 [|ip6]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, FormatIP(tt.b))
		})
	}
}

// A frame prints as tcpdump prints it, without a header that says nothing unusual.
func TestPrintingNests(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{
			"TCP in IPv4 in Ethernet", goldenTCPReset,
			"IP 192.168.69.100.80 > 192.168.69.1.35260: Flags [R.], seq 0, ack 935580058, win 0, length 0",
		},
		{
			"UDP in IPv4 in ICMP in IPv4 in Ethernet", goldenPortUnreachable,
			"IP 192.168.69.100 > 192.168.69.1: ICMP 192.168.69.100 udp port 9 unreachable, length 41: " +
				"IP 192.168.69.1.43306 > 192.168.69.100.9: UDP, length 5",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, EthernetFrame(tt.frame).String())
		})
	}
}

// Whatever is cut off or changed, something is printed.
func TestPrintingNeverPanics(t *testing.T) {
	for _, frame := range goldenFrames {
		for n := range len(frame) + 1 {
			require.NotEmpty(t, EthernetFrame(frame[:n]).String())
		}
		for i := range frame {
			for _, octet := range []byte{0x00, 0x01, 0x3a, 0x45, 0x60, 0x7f, 0xff} {
				changed := bytes.Clone(frame)
				changed[i] = octet
				require.NotEmpty(t, EthernetFrame(changed).String())
			}
		}
	}
}
