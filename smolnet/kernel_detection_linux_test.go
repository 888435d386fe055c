package smolnet_test

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// becomes waits until an address is what it is to be.
func becomes(t *testing.T, w *smolnet.Watch, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		e, err := w.Next(ctx)
		require.NoError(t, err, "waiting for %s", want)
		if e.Address.String() == want {
			return
		}
	}
}

// The kernel has the addresses already.
func TestKernelsAddressIsNotTaken(t *testing.T) {
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	device := overTap.recorded().open(t)
	newKernel(t)
	s := newStack(t, smolnet.Config{})
	w := s.Watch()
	link, err := s.AddInterface(smolnet.Interface{
		Name: stackInterface, Device: device, DuplicateDetection: core.DetectAll,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.69.100/24"), netip.MustParsePrefix("192.168.69.1/24")},
	})
	require.NoError(t, err)
	becomes(t, w, "192.168.69.100/24 duplicate")
	require.NoError(t, link.AddAddress(netip.MustParsePrefix("fdaa::100/64")))
	becomes(t, w, "fdaa::100/64 duplicate")
	becomes(t, w, "192.168.69.1/24 preferred")
	c, err := s.Dial("udp", "192.168.69.100:9")
	require.NoError(t, err, "what is the kernel's can be reached")
	require.Equal(t, "192.168.69.1", c.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Addr().String())
}

// The kernel wants an address that the stack has.
func TestKernelDoesNotTakeAddress(t *testing.T) {
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	device := overTap.recorded().open(t)
	newKernel(t)
	s := newStack(t, smolnet.Config{})
	w := s.Watch()
	_, err := s.AddInterface(smolnet.Interface{
		Name: stackInterface, Device: device, Addresses: []netip.Prefix{netip.MustParsePrefix("fdaa::7/64")},
	})
	require.NoError(t, err)
	becomes(t, w, "fdaa::7/64 preferred")

	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+kernelInterface+"/accept_dad", []byte("1"), 0))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	monitor := exec.CommandContext(ctx, "ip", "-6", "-oneline", "monitor", "address")
	out, err := monitor.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, monitor.Start())
	defer monitor.Wait()
	defer cancel()
	failed := make(chan bool, 1)
	go func() {
		for said := bufio.NewScanner(out); said.Scan(); {
			if strings.Contains(said.Text(), "fdaa::7/64") && strings.Contains(said.Text(), "dadfailed") {
				failed <- true
			}
		}
		close(failed)
	}()
	require.NoError(t, exec.Command("ip", "-6", "address", "add", "fdaa::7/64", "dev", kernelInterface).Run())
	require.True(t, <-failed, "the kernel finds that the address is taken")
}

// denies asks whether anybody has an address that nobody should have, and reports whether there has been an answer.
func denies(t *testing.T, device dev.Device) bool {
	t.Helper()
	wanted := netip.MustParseAddr("fdaa::99")
	probe, dst := wire.NDNeighborSolicitationRepr{Target: wanted}, wire.SolicitedNodeMulticast(wanted)
	p := packet.New(probe.Len())
	probe.Emit(p.Append(probe.Len()), netip.IPv6Unspecified(), dst)
	header := wire.IPv6Repr{NextHeader: ip.ProtocolICMPv6, HopLimit: wire.NDHopLimit, PayloadLen: probe.Len(),
		Src: netip.IPv6Unspecified(), Dst: dst}
	header.Emit(p.Prepend(header.Len()))
	frame := wire.EthernetRepr{Dst: wire.MulticastHardwareAddr(dst), Src: wire.HardwareAddr{2, 0, 0, 0, 0, 0x99}, EtherType: wire.EtherTypeIPv6}
	frame.Emit(p.Prepend(frame.Len()))
	if n, err := device.Send(time.Now(), []*packet.Packet{p}); n == 0 {
		require.NoError(t, err)
		p.Release()
	}
	denied := false
	for arrived := make([]*packet.Packet, 1); ; arrived[0].Release() {
		if n, err := device.Receive(time.Now(), arrived); n == 0 {
			require.NoError(t, err)
			return denied
		}
		answer := arrived[0].Header(wire.EthernetHeaderLen + wire.IPv6HeaderLen + 1)
		denied = denied || answer != nil && answer[len(answer)-1] == wire.ICMPv6NeighborAdvertisement
	}
}

// Somebody claims every address that anybody wants (dos-new-ip6 of thc-ipv6). There is no IPv6 to be had then; IPv4 is.
func TestKernelAddressesAreDenied(t *testing.T) {
	t.Parallel()
	if !netns.Test(t) {
		return
	}
	device := overTap.recorded().open(t)
	kernel := newKernel(t)
	run(t, func(string) bool { return denies(t, device) }, "atk6-dos-new-ip6", kernelInterface)
	s := newStack(t, smolnet.Config{})
	w := s.Watch()
	link, err := s.AddInterface(smolnet.Interface{Name: stackInterface, Device: device,
		Addresses: []netip.Prefix{netip.MustParsePrefix("fdaa::7/64"), netip.MustParsePrefix("192.168.69.1/24")}})
	require.NoError(t, err)
	becomes(t, w, "fdaa::7/64 duplicate")
	require.Eventually(t, func() bool {
		for _, a := range link.Addresses() {
			if a.Prefix.Addr().Is6() && a.State != core.Duplicate {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond, "its link-local address is none, either")

	l, err := net.Listen("tcp", netip.AddrPortFrom(kernel.ipv4, 0).String())
	require.NoError(t, err)
	defer l.Close()
	c, err := s.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
