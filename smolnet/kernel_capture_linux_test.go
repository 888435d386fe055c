package smolnet_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pcap"
	"github.com/smolnet/smolnet/dev/trace"
)

// capture is what a stack has sent by a device. It may be read while it grows.
type capture struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *capture) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(b)
}

// wrong is what tshark says of frames that nobody may send. An ICMP error quotes what others have sent: with that there may be
// anything the matter, so that of such a message only the first checksum counts.
const wrong = `icmp.checksum.status#1 == "Bad" || icmpv6.checksum.status#1 == "Bad" ||
	(!(icmp.type in {3, 4, 5, 11, 12} || icmpv6.type < 128) &&
	(_ws.malformed || _ws.expert.severity == "Error" || _ws.expert.group == "Malformed" || _ws.expert.group == "Checksum"))`

// size is how many octets of memory it takes.
func (c *capture) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Cap()
}

// recorded is the setup with a capture of what the stack sends, in which tshark must find nothing wrong in the end.
func (s setup) recorded() setup {
	open := s.open
	s.open = func(t *testing.T) dev.Device {
		t.Helper()
		device, _ := record(t, open(t))
		return device
	}
	return s
}

// record returns the device with a capture of what is sent, in which tshark must find nothing wrong in the end. Where there is no
// tshark nothing is recorded, outside CI.
func record(t *testing.T, device dev.Device) (dev.Device, *capture) {
	t.Helper()
	c := new(capture)
	if !c.readable(t) {
		return device, c
	}
	writer, err := pcap.NewWriter(c, pcap.Config{})
	require.NoError(t, err)
	recorded, err := pcap.New(device, writer, pcap.InterfaceConfig{Only: trace.Sent})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, writer.Err())
		assert.Empty(t, c.read(t, wrong), "the stack has sent what tshark complains about")
	})
	return recorded, c
}

// readable reports whether there is a tshark to read captures with. Under CI there is one.
func (c *capture) readable(t *testing.T) bool {
	t.Helper()
	_, err := exec.LookPath("tshark")
	if err != nil && os.Getenv("CI") == "" {
		return false
	}
	require.NoError(t, err)
	return true
}

// tshark returns what of the capture the filter lets through. Where there is no tshark it skips, outside CI.
func (c *capture) tshark(t *testing.T, filter string) string {
	t.Helper()
	if !c.readable(t) {
		t.Skip("there is no tshark")
	}
	return c.read(t, filter)
}

func (c *capture) read(t *testing.T, filter string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "capture") // t.TempDir is not for what is done in the end
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "capture")
	c.mu.Lock()
	err = os.WriteFile(file, c.b.Bytes(), 0o600)
	c.mu.Unlock()
	require.NoError(t, err)
	args := []string{"-n", "-r", file, "-Y", filter, "-T", "fields"}
	for _, field := range []string{"frame.number", "frame.protocols", "_ws.col.Info", "_ws.expert.message"} {
		args = append(args, "-e", field)
	}
	for _, protocol := range []string{"ip", "udp", "tcp"} {
		args = append(args, "-o", protocol+".check_checksum:TRUE")
	}
	cmd := exec.Command("tshark", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+dir) // nobody's preferences
	out, err := cmd.Output()
	require.NoError(t, err)
	return string(out)
}
