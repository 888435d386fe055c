package wire

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Frames of the Linux 6 kernel, captured with tcpdump -w between two network namespaces joined by a veth pair:
// 192.168.69.1 is 02:00:00:00:00:01, 192.168.69.100 is 02:00:00:00:00:02 and a router.
var (
	goldenARPRequest = unhex(`
		ffffffffffff 020000000001 0806
		0001 0800 06 04 0001 020000000001 c0a84501 000000000000 c0a84564`)
	goldenARPReply = unhex(`
		020000000001 020000000002 0806
		0001 0800 06 04 0002 020000000002 c0a84564 020000000001 c0a84501`)

	// ping -s 16
	goldenEchoRequest = unhex(`
		020000000002 020000000001 0800
		4500002c 18b14000 4001166a c0a84501 c0a84564
		0800b9ff 56e80001 6ff5006b0000000075b6010000000000`)
	goldenEchoReply = unhex(`
		020000000001 020000000002 0800
		4500002c 516d0000 40011dae c0a84564 c0a84501
		0000c1ff 56e80001 6ff5006b0000000075b6010000000000`)

	// ping -R -s 8: the reply has passed three addresses, and room for six more.
	goldenRecordRoute = unhex(`
		020000000001 020000000002 0800
		4f00004c 516e0000 40013854 c0a84564 c0a84501
		072710c0a84501c0a84564c0a84564 000000000000000000000000000000000000000000000000 00
		00009d05 56e90001 0001020304050607`)

	// A UDP datagram whose checksum is left to the device: its field holds the folded sum of the pseudo-header.
	goldenUDP = unhex(`
		020000000002 020000000001 0800
		45000021 8da94000 4011a16c c0a84501 c0a84564
		a92a0009 000d0bd5 68656c6c6f`)
	goldenPortUnreachable = unhex(`
		020000000001 020000000002 0800
		45c0003d 51750000 40011cd5 c0a84564 c0a84501
		03030415 00000000
		45000021 8da94000 4011a16c c0a84501 c0a84564
		a92a0009 000d0bd5 68656c6c6f`)

	// The first and the last fragment of a UDP datagram of 2000 octets, both cut off after 8 octets of payload.
	goldenFirstFragment = unhex(`
		450005dc 8dad2000 4011bbad c0a84501 c0a84564
		a92a0009 07d8a4bd`)
	goldenLastFragment = unhex(`
		45000224 8dad00b9 4011deac c0a84501 c0a84564
		78787878 78787878`)

	// ip route add prohibit 10.2.0.0/16
	goldenAdminProhibited = unhex(`
		020000000001 020000000002 0800
		45c00040 522f0000 40011c18 c0a84564 c0a84501
		030dfcf2 00000000
		45000024 27ee4000 4001033f c0a84501 0a020001
		080094d2 571c0001 0001020304050607`)
	// ping -M do -s 1472 to a link with an MTU of 1400; the header alone of a quote that has 548 octets.
	goldenFragmentationNeeded = unhex(`
		0304f056 00000578
		450005dc 00004000 4001256c c0a84501 0a030009
		0800c413 571d0001`)
	// ping -t 1
	goldenTimeExceeded = unhex(`
		020000000001 020000000002 0800
		45c00040 52310000 40011c16 c0a84564 c0a84501
		0b00f4ff 00000000
		45000024 d57a4000 010194a9 c0a84501 0a030009
		080094d0 571e0001 0001020304050607`)
	goldenRedirect = unhex(`
		020000000001 020000000002 0800
		45c00040 52320000 40011c15 c0a84564 c0a84501
		0501f523 c0a84532
		45000024 0f634000 3f011cc0 c0a84501 0a040009
		080094cf 571f0001 0001020304050607`)
	// An SCTP packet of zeros, and what the kernel thinks of it.
	goldenProtocolUnreachable = unhex(`
		020000000001 020000000002 0800
		45c0003c 52800000 40011bcb c0a84564 c0a84501
		0302fcfd 00000000
		45000020 530d4000 4084db96 c0a84501 c0a84564
		000000000000000000000000`)

	goldenTCPReset = unhex(`
		020000000001 020000000002 0800
		45000028 00004000 40062f1a c0a84564 c0a84501
		005089bc 00000000 37c3d19a 50140000 10b00000`)

	// An IEEE 802.3 frame: a configuration message of the kernel's bridge.
	goldenSpanningTree = unhex(`
		0180c2000000 020000000002 0026
		424203 0000000000 8000020000000002 00000000 8000020000000002 8001 0000 1400 0200 0f00`)

	// The ARP request again, as IEEE 802.1Q clause 9 tags it: VLAN 5 with priority 3; and with VLAN 7 inside the
	// service provider's VLAN 6 and drop eligible.
	goldenVLAN = unhex(`
		ffffffffffff 020000000001 8100 6005 0806
		0001 0800 06 04 0001 020000000001 c0a84501 000000000000 c0a84564`)
	goldenQinQ = unhex(`
		ffffffffffff 020000000001 88a8 1006 8100 0007 0806
		0001 0800 06 04 0001 020000000001 c0a84501 000000000000 c0a84564`)
)

// goldenFrames are the Ethernet frames among them.
var goldenFrames = [][]byte{
	goldenARPRequest, goldenARPReply, goldenEchoRequest, goldenEchoReply, goldenRecordRoute, goldenUDP,
	goldenPortUnreachable, goldenAdminProhibited, goldenTimeExceeded, goldenRedirect, goldenProtocolUnreachable,
	goldenTCPReset, goldenSpanningTree, goldenVLAN, goldenQinQ,
}

// unhex reads hexadecimal digits with blanks between them.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// ethernetPayload is what a golden frame carries.
func ethernetPayload(t testing.TB, frame []byte) []byte {
	t.Helper()
	f, err := ParseEthernet(frame)
	require.NoError(t, err)
	return f.Payload()
}

// ipv4Payload is what the IPv4 packet in a golden frame carries.
func ipv4Payload(t testing.TB, frame []byte) []byte {
	t.Helper()
	p, err := ParseIPv4(ethernetPayload(t, frame))
	require.NoError(t, err)
	return p.Payload()
}

// emitted returns what r emits, having checked that it writes every one of Len octets and none beyond.
func emitted(t testing.TB, r interface {
	Len() int
	Emit(b []byte)
}) []byte {
	t.Helper()
	zeros, ones := make([]byte, r.Len()+8), make([]byte, r.Len()+8)
	for i := range ones {
		ones[i] = 0xff
	}
	r.Emit(zeros)
	r.Emit(ones)
	require.Equal(t, zeros[:r.Len()], ones[:r.Len()], "octets left as they were")
	require.Equal(t, make([]byte, 8), zeros[r.Len():], "octets beyond Len written")
	require.True(t, panics(func() { r.Emit(make([]byte, r.Len()-1)) }), "emitted into too few octets")
	return zeros[:r.Len()]
}

// panics reports whether f panics. require.Panics, which records a stack trace, is too slow for fuzzing.
func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

// requireNoAllocs asserts that f allocates nothing.
func requireNoAllocs(t *testing.T, f func()) {
	t.Helper()
	if raceEnabled {
		t.Skip("allocations cannot be counted under the race detector")
	}
	require.Zero(t, testing.AllocsPerRun(100, f))
}
