package pcap_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/dev/trace"
)

var epoch = time.Unix(1_700_000_000, 123_456_789)

func hold(octets string) *packet.Packet {
	p := packet.New(len(octets))
	copy(p.Append(len(octets)), octets)
	return p
}

// octets reads hexadecimal digits, and whatever comments stand behind "//".
func octets(t *testing.T, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(t, err)
	return b
}

func recorded(t *testing.T, inner dev.Device, w *pcap.Writer, cfg pcap.InterfaceConfig) *pcap.Device {
	t.Helper()
	d, err := pcap.New(inner, w, cfg)
	require.NoError(t, err)
	return d
}

func send(t *testing.T, d dev.Device, now time.Time, pkts ...*packet.Packet) {
	t.Helper()
	n, err := d.Send(now, pkts)
	require.NoError(t, err)
	require.Equal(t, len(pkts), n)
}

func drain(t *testing.T, d dev.Device, now time.Time) int {
	t.Helper()
	pkts := make([]*packet.Packet, 16)
	n, err := d.Receive(now, pkts)
	require.NoError(t, err)
	for _, p := range pkts[:n] {
		p.Release()
	}
	return n
}

// Every field by draft-ietf-opsawg-pcap, sections 4 and 5.
func TestPCAP(t *testing.T) {
	var out bytes.Buffer
	w, err := pcap.NewWriter(&out, pcap.Config{Format: pcap.PCAP})
	require.NoError(t, err)
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	d := recorded(t, a, w, pcap.InterfaceConfig{Name: "left"})
	send(t, d, epoch, hold("E23"))
	send(t, b, epoch, hold("E4567"))
	drain(t, d, epoch.Add(time.Second))
	require.Equal(t, octets(t, `
		4d3cb2a1  // magic number: nanoseconds
		0200 0400 // version 2.4
		00000000 00000000
		00000400  // snapshot length: 262,144
		65000000  // link type 101: an IP packet

		00f15365 15cd5b07 // 1,700,000,000 s, 123,456,789 ns
		03000000 03000000 // octets recorded, and of the packet
		453233

		01f15365 15cd5b07
		05000000 05000000
		4534353637`), out.Bytes())

	_, err = pcap.New(b, w, pcap.InterfaceConfig{})
	require.EqualError(t, err, "pcap: the format PCAP records one device only, PCAPNG more")
}

// Every field by draft-ietf-opsawg-pcapng, sections 4.1 to 4.3.
func TestPCAPNG(t *testing.T) {
	var out bytes.Buffer
	w, err := pcap.NewWriter(&out, pcap.Config{})
	require.NoError(t, err)
	section := octets(t, `
		0a0d0d0a 2c000000 // section header block, of 44 octets
		4d3c2b1a          // byte order
		0100 0000         // version 1.0
		ffffffff ffffffff // a section of unknown length
		0400 0700 736d6f6c6e6574 00 // user application: smolnet
		0000 0000
		2c000000`)
	require.Equal(t, section, out.Bytes())
	out.Reset()

	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	left := recorded(t, a, w, pcap.InterfaceConfig{Name: "left"})
	radio, _ := pipe.New(pipe.Config{Medium: dev.IEEE802154, MTU: 1280})
	right := recorded(t, addressed{radio}, w, pcap.InterfaceConfig{})
	require.Equal(t, octets(t, `
		01000000 38000000 // interface description block, of 56 octets
		6500 0000         // link type 101: an IP packet
		00000000          // no snapshot length
		0200 0400 6c656674 // name: left
		0300 0c00 49502c204d54552031353030 // description: IP, MTU 1500
		0900 0100 09 000000 // times are nanoseconds
		0000 0000
		38000000

		01000000 54000000 // interface description block, of 84 octets
		e600 0000         // link type 230: IEEE 802.15.4 without frame check sequence
		00000000
		0300 1700 49454545203830322e31352e342c204d54552031323830 00 // IEEE 802.15.4, MTU 1280
		0600 0600 020000000001 0000 // MAC address
		0700 0800 0200000000000002 // EUI-64
		0900 0100 09 000000
		0000 0000
		54000000`), out.Bytes())
	out.Reset()

	send(t, b, epoch, hold("E23"))
	drain(t, left, epoch)
	send(t, right, epoch.Add(time.Second), hold("1234"))
	require.Equal(t, octets(t, `
		06000000 30000000 // enhanced packet block, of 48 octets
		00000000          // interface 0
		fe9c9717 15cd853d // 0x17979cfe3d85cd15 ns
		03000000 03000000 // octets recorded, and of the packet
		453233 00
		0200 0400 01000000 // flags: inbound
		0000 0000
		30000000

		06000000 30000000
		01000000          // interface 1
		fe9c9717 15972079
		04000000 04000000
		31323334
		0200 0400 02000000 // flags: outbound
		0000 0000
		30000000`), out.Bytes())
}

// addressed is a device with addresses of its own.
type addressed struct{ dev.Device }

func (d addressed) Capabilities() dev.Capabilities {
	caps := d.Device.Capabilities()
	caps.HardwareAddr = [6]byte{2, 0, 0, 0, 0, 1}
	caps.EUI64 = [8]byte{2, 0, 0, 0, 0, 0, 0, 2}
	return caps
}

func TestSnapLen(t *testing.T) {
	var out bytes.Buffer
	w, err := pcap.NewWriter(&out, pcap.Config{Format: pcap.PCAP, SnapLen: 4})
	require.NoError(t, err)
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	d := recorded(t, a, w, pcap.InterfaceConfig{})
	require.Equal(t, octets(t, "04000000 65000000"), out.Bytes()[16:])
	out.Reset()
	send(t, d, epoch, hold("E123456"), hold("E123"))
	require.Equal(t, octets(t, `
		00f15365 15cd5b07 04000000 07000000 45313233
		00f15365 15cd5b07 04000000 04000000 45313233`), out.Bytes())
	require.Equal(t, 2, drain(t, b, epoch))
}

func TestTimesThatNoFileCanTell(t *testing.T) {
	for name, now := range map[string]time.Time{
		"the zero time": {},
		"before 1970":   time.Unix(-1, 0),
		"after 2262":    time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		var out bytes.Buffer
		w, err := pcap.NewWriter(&out, pcap.Config{Format: pcap.PCAP})
		require.NoError(t, err)
		a, _ := pipe.New(pipe.Config{Medium: dev.IP})
		send(t, recorded(t, a, w, pcap.InterfaceConfig{}), now, hold("E"))
		require.Equal(t, make([]byte, 8), out.Bytes()[24:32], name)
	}
}

func TestOnlyWhatIsWanted(t *testing.T) {
	// Octet 1 is "y".
	filter, err := bpf.NewVM([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 1, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 'y', SkipFalse: 1},
		bpf.RetConstant{Val: 1},
		bpf.RetConstant{Val: 0},
	})
	require.NoError(t, err)
	var out bytes.Buffer
	w, err := pcap.NewWriter(&out, pcap.Config{Format: pcap.PCAP})
	require.NoError(t, err)
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	d := recorded(t, a, w, pcap.InterfaceConfig{Filter: filter, Only: trace.Sent})
	out.Reset()
	send(t, b, epoch, hold("Ey, received"))
	drain(t, d, epoch)
	send(t, d, epoch, hold("En"), hold("Ey"))
	require.Equal(t, octets(t, "00f15365 15cd5b07 02000000 02000000 4579"), out.Bytes())
}

func TestWhatWasNotTakenIsRecordedOnceItIs(t *testing.T) {
	var out bytes.Buffer
	w, err := pcap.NewWriter(&out, pcap.Config{Format: pcap.PCAP})
	require.NoError(t, err)
	a, b := pipe.New(pipe.Config{Medium: dev.IP, Queue: 1})
	d := recorded(t, a, w, pcap.InterfaceConfig{})
	out.Reset()
	pkts := []*packet.Packet{hold("E1"), hold("E2")}
	n, err := d.Send(epoch, pkts)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	drain(t, b, epoch)
	send(t, d, epoch, pkts[1])
	require.Equal(t, octets(t, `
		00f15365 15cd5b07 02000000 02000000 4531
		00f15365 15cd5b07 02000000 02000000 4532`), out.Bytes())
}

// broken fails after so many writes.
type broken struct{ left, calls int }

var errFull = errors.New("disk full")

func (b *broken) Write(p []byte) (int, error) {
	b.calls++
	if b.left == 0 {
		return 0, errFull
	}
	b.left--
	return len(p), nil
}

func TestAWriterThatFailsDisturbsNothing(t *testing.T) {
	out := &broken{left: 4} // a section, two interfaces and a frame
	w, err := pcap.NewWriter(out, pcap.Config{})
	require.NoError(t, err)
	a, b := pipe.New(pipe.Config{Medium: dev.IP})
	left, right := recorded(t, a, w, pcap.InterfaceConfig{}), recorded(t, b, w, pcap.InterfaceConfig{})
	send(t, left, epoch, hold("E1"))
	require.NoError(t, w.Err())
	send(t, left, epoch, hold("E2"), hold("E3"))
	require.Equal(t, 3, drain(t, right, epoch))
	require.ErrorIs(t, w.Err(), errFull)
	require.ErrorIs(t, left.Err(), errFull)
	require.ErrorIs(t, right.Err(), errFull, "the capture is one")
	require.Equal(t, 5, out.calls, "after the first error it is left alone")

	_, err = pcap.New(a, w, pcap.InterfaceConfig{})
	require.ErrorIs(t, err, errFull)
	_, err = pcap.NewWriter(&broken{}, pcap.Config{})
	require.EqualError(t, err, "pcap: disk full")
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	_, err := pcap.NewWriter(new(bytes.Buffer), pcap.Config{SnapLen: -1})
	require.EqualError(t, err, "pcap: SnapLen of -1 octets is negative")
	_, err = pcap.NewWriter(new(bytes.Buffer), pcap.Config{Format: 2})
	require.EqualError(t, err, "pcap: unknown format 2")
	w, err := pcap.NewWriter(new(bytes.Buffer), pcap.Config{})
	require.NoError(t, err)
	strange, _ := pipe.New(pipe.Config{Medium: 9})
	_, err = pcap.New(strange, w, pcap.InterfaceConfig{})
	require.EqualError(t, err, "pcap: no link type for unknown medium")
	a, _ := pipe.New(pipe.Config{})
	_, err = pcap.New(a, w, pcap.InterfaceConfig{Only: 7})
	require.ErrorContains(t, err, "Only is no direction")
}
