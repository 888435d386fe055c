package wire

import (
	"os/exec"
	"regexp"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The accessors and the inner parts of the checksum cost a call each, for every packet, if a change makes them too big
// to be inlined.
func TestInlining(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("what is inlined depends on the compiler's intrinsics for", runtime.GOARCH)
	}
	if raceEnabled {
		t.Skip("the compiler is asked without the race detector, once is enough")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to ask:", err)
	}
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	inlined := make(map[string]bool)
	for _, match := range regexp.MustCompile(`: can inline (\S+)`).FindAllSubmatch(out, -1) {
		inlined[string(match[1])] = true
	}
	for _, name := range []string{
		"addBlock", "lastWord", "(*Sum).addWord", "(*Sum).AddUint16", "Sum.Fold", "Sum.Checksum", "UpdateChecksum",

		"ParseEthernet", "EthernetFrame.Dst", "EthernetFrame.Src", "EthernetFrame.EtherType", "EthernetFrame.Is8023",
		"EthernetFrame.IsVLAN", "EthernetFrame.Payload", "HardwareAddr.IsBroadcast", "HardwareAddr.IsMulticast",
		"(*EthernetRepr).Emit",

		"IPv4Packet.HeaderLen", "IPv4Packet.TotalLen", "IPv4Packet.ECN", "IPv4Packet.ID", "IPv4Packet.IsFragment",
		"IPv4Packet.FragmentOffset", "IPv4Packet.TTL", "IPv4Packet.Protocol", "IPv4Packet.Src", "IPv4Packet.Dst",
		"IPv4Packet.Payload", "IPv4Packet.VerifyChecksum",

		"ParseICMPv4", "ICMPv4Packet.Type", "ICMPv4Packet.Code", "ICMPv4Packet.Payload", "ICMPv4Packet.VerifyChecksum",
	} {
		require.True(t, inlined[name], "%s is not inlined", name)
	}
}
