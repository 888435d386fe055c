package netns_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/internal/netns"
)

func TestInsideThereIsOnlyLoopbackAndItIsUp(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.True(t, netns.Inside())
	require.Zero(t, os.Geteuid(), "one is root inside")

	links, err := net.Interfaces()
	require.NoError(t, err)
	for _, link := range links {
		// Modules that are loaded, such as ipip or sit, put their own interfaces into every namespace, but down.
		require.Equal(t, link.Name == "lo", link.Flags&net.FlagUp != 0, link.Name)
	}

	l, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestProgramsCanChangeUserIfRootStartedThem(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	b, err := os.ReadFile("/proc/self/uid_map")
	require.NoError(t, err)
	if ids := strings.Fields(string(b)); ids[len(ids)-1] == "1" {
		t.Skip("started by an ordinary user: there is only root in here")
	}
	b, err = os.ReadFile("/proc/self/setgroups")
	require.NoError(t, err)
	require.Equal(t, "allow\n", string(b))
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 100, Gid: 100, Groups: []uint32{101}}}
	cmd.Dir = "/"
	err = cmd.Run()
	require.NotErrorIs(t, err, syscall.EPERM, "changing the groups and the user is refused")
	if !errors.Is(err, syscall.EACCES) { // the program may lie where another user cannot read
		require.NoError(t, err)
	}
}

func TestAddressesAreUsableAtOnce(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	const name = "tap7"
	require.NoError(t, netns.AddTap(name))
	require.NoError(t, netns.SetMTU(name, 9000))
	require.NoError(t, netns.SetHardwareAddr(name, [6]byte{2, 0, 0, 0, 0, 7}))
	require.NoError(t, netns.Up(name))
	require.NoError(t, netns.AddAddress(name, netip.MustParsePrefix("192.168.69.100/24")))
	require.NoError(t, netns.AddAddress(name, netip.MustParsePrefix("fdaa::100/64")))
	require.NoError(t, netns.AddRoute(netip.MustParsePrefix("10.1.0.0/16"), netip.MustParseAddr("192.168.69.1"), name))
	require.NoError(t, netns.AddRoute(netip.MustParsePrefix("fdbb::/64"), netip.MustParseAddr("fdaa::1"), name))
	require.NoError(t, netns.AddRoute(netip.MustParsePrefix("10.2.0.0/16"), netip.Addr{}, name))
	require.NoError(t, netns.AddNeighbour(name, netip.MustParseAddr("192.168.69.1"), [6]byte{2, 0, 0, 0, 0, 1}))

	link, err := net.InterfaceByName(name)
	require.NoError(t, err)
	require.Equal(t, 9000, link.MTU)
	require.Equal(t, "02:00:00:00:00:07", link.HardwareAddr.String())

	for _, address := range []string{"192.168.69.100:0", "[fdaa::100]:0"} {
		l, err := net.Listen("tcp", address)
		require.NoError(t, err, "a tentative address could not be bound")
		require.NoError(t, l.Close())
	}

	err = netns.AddAddress(name, netip.MustParsePrefix("192.168.69.100/24"))
	require.ErrorContains(t, err, "adding 192.168.69.100/24 to tap7: file exists")
	require.NoError(t, netns.Down(name))
	require.NoError(t, netns.Delete(name))
	require.ErrorContains(t, netns.Up(name), name)
}

func TestAddressesBeforeUp(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.NoError(t, netns.AddTun("tun0"))
	prefix := netip.MustParsePrefix("fdaa::100/64")
	require.NoError(t, netns.AddAddress("tun0", prefix))
	for range 2 { // with nothing attached, and again
		require.NoError(t, netns.Up("tun0"))
		l, err := net.ListenPacket("udp", "[fdaa::100]:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.NoError(t, netns.Down("tun0"))
		err = netns.AddAddress("tun0", prefix)
		require.NoError(t, err, "the kernel forgets IPv6 addresses with the interface")
	}
}

func TestEachTestIsAlone(t *testing.T) {
	for _, name := range []string{"first", "second time"} {
		t.Run(name, func(t *testing.T) {
			if !netns.Test(t) {
				return
			}
			require.NoError(t, netns.AddTun("tun0"), "the name is free")
		})
	}
}

// outcome is a T that only takes note; Skipf and Fatalf end the test by a panic with it.
type outcome struct {
	*testing.T
	output          bytes.Buffer
	skipped, failed string
}

func (o *outcome) Output() io.Writer { return &o.output }

func (o *outcome) Skipf(format string, args ...any) {
	o.skipped = fmt.Sprintf(format, args...)
	panic(o)
}

func (o *outcome) Fatalf(format string, args ...any) {
	o.failed = fmt.Sprintf(format, args...)
	panic(o)
}

func outcomeOf(t *testing.T) (o *outcome) {
	o = &outcome{T: t}
	defer func() { _ = recover() }()
	netns.Test(o)
	return o
}

func TestOutcome(t *testing.T) {
	if err := netns.Available(); err != nil {
		netns.Test(t) // skips or fails
	}
	t.Run("failed", func(t *testing.T) {
		if netns.Inside() {
			netns.Test(t)
			t.Fatal("on purpose")
		}
		o := outcomeOf(t)
		require.Contains(t, o.failed, "failed in its namespace: exit status 1")
		require.Contains(t, o.output.String(), "on purpose")
	})
	t.Run("skipped", func(t *testing.T) {
		if netns.Inside() {
			netns.Test(t)
			t.Skip("on purpose")
		}
		o := outcomeOf(t)
		require.Contains(t, o.skipped, "was skipped in its namespace")
	})
	t.Run("did not get there", func(t *testing.T) {
		if netns.Inside() {
			return
		}
		o := outcomeOf(t)
		require.Contains(t, o.failed, "did not run in its namespace", "a test that passes without having run is no test")
	})
}

func TestCommandEntersANamespaceOfItsOwn(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	require.NoError(t, netns.AddTap("tap0"))
	cmd, err := netns.Command(context.Background(), "-test.run=^TestNothingIsHere$", "-test.v")
	require.NoError(t, err)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: TestNothingIsHere")
}

func TestNothingIsHere(t *testing.T) {
	if !netns.Inside() {
		t.Skip("is for TestCommandEntersANamespaceOfItsOwn")
	}
	_, err := net.InterfaceByName("tap0")
	require.Error(t, err)
	b, err := os.ReadFile("/proc/self/uid_map")
	require.NoError(t, err)
	t.Log(strings.TrimSpace(string(b)))
}
