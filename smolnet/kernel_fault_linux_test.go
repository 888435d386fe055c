package smolnet_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/wire"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/internal/netns"
	"github.com/smolnet/smolnet/smolnet"
)

// ordeal is a stream from the stack to the kernel and one from the kernel to the stack, at once, over a tap whose frames
// are injured.
type ordeal struct {
	name    string
	octets  int64
	faults  fault.Direction // what becomes of the frames, each way
	ipv6    bool
	sysctls []string // of net.ipv4: "tcp_sack=0"

	// congestion is the kernel's congestion control, if the kernel has it. Default: cubic, and not what the system's owner has
	// chosen.
	congestion string

	stack tcp.Options // of the stack's connections

	// kernelCalls has the kernel open both connections. Default: who sends opens.
	kernelCalls bool

	// without and with are how the options that were agreed on differ from the usual ones.
	without, with options

	// check looks at what else must have happened.
	check func(t *testing.T, o *outcome)
}

// outcome is what an ordeal leaves behind.
type outcome struct {
	out, in fault.Counters // of the frames from the stack, and of those to it
	stack   tcp.Counters
	kernel  map[string]int // its counters, as nstat names them

	receiver, sender *unix.TCPInfo // the kernel's ends of the two streams
}

// options are those that both ends of a connection have agreed on, and whether ECN was of use, as tcp_info has them.
type options uint8

const (
	timestamps options = 1 << iota
	selectiveACK
	windowScale
	ecn
	ecnSeen

	usual = timestamps | selectiveACK | windowScale
)

// ordealPatience bounds an ordeal. Only a defect uses it up.
const ordealPatience = 90 * time.Second

const (
	much = 64 << 20
	some = 4 << 20
)

// TestKernelUnderFaults: whatever happens to the frames, what is read is what was written.
func TestKernelUnderFaults(t *testing.T) {
	const ms = time.Millisecond // what a loss costs grows with the delay: 64 MiB are to take but seconds
	for _, o := range []ordeal{
		{name: "nothing", octets: much, ipv6: true},
		{name: "delay", octets: much, faults: fault.Direction{Delay: ms}},
		{name: "1 % lost", octets: much, faults: fault.Direction{Delay: ms / 2, Drop: 0.01}},
		{name: "1 % lost, IPv6", octets: some, faults: fault.Direction{Delay: ms, Drop: 0.01}, ipv6: true},
		{name: "5 % lost", octets: some, faults: fault.Direction{Delay: 2 * ms, Drop: 0.05}},
		{name: "5 % lost, IPv6", octets: some, faults: fault.Direction{Delay: 2 * ms, Drop: 0.05}, ipv6: true},
		{name: "1 % out of order", octets: much, faults: fault.Direction{Delay: ms, Reorder: 0.01, ReorderBy: ms}},
		{
			name: "0.1 % corrupt", octets: much, faults: fault.Direction{Delay: ms, Corrupt: 0.001},
			check: corruptionIsFound,
		},
		{
			name: "0.1 % corrupt, IPv6", octets: much, faults: fault.Direction{Delay: ms, Corrupt: 0.001}, ipv6: true,
			check: corruptionIsFound,
		},
	} {
		o.test(t)
	}
}

// TestKernelTailLoss: the last segment of what the stack says is lost, and a probe of the tail is sent. How long the
// repair takes is for the log: internal/tcpsim measures it in virtual time.
func TestKernelTailLoss(t *testing.T) {
	if !netns.Test(t) {
		return
	}
	const octets = 30_000 // several segments
	var lost atomic.Int32 // the stack's goroutines count
	device, err := fault.New(overTap.open(t), fault.Config{Out: fault.Direction{Delay: time.Millisecond, Script: func(f fault.Frame) fault.Action {
		if lost.Load() > 0 || len(f.TCP) == 0 || len(f.TCP.Payload()) == 0 || !f.TCP.Flags().Has(wire.TCPPsh) {
			return fault.Pass
		}
		lost.Add(1)
		return fault.Drop
	}}})
	require.NoError(t, err)
	c := attach(t, device, newKernel(t), smolnet.Config{})
	from, to := (&ordeal{}).connect(t, c, c.stack)
	began := time.Now()
	_, err = from.Write(make([]byte, octets))
	require.NoError(t, err)
	read(t, to, make([]byte, octets))
	t.Logf("with the last segment lost once it took %v", time.Since(began))
	require.EqualValues(t, 1, lost.Load())
	require.Positive(t, c.counters().TailLossProbes)
}

// corruptionIsFound: most of the frames with a wrong octet are found out by the checksum of TCP, those with one in the
// headers before it by something else. Nothing else is found wrong.
func corruptionIsFound(t *testing.T, o *outcome) {
	for _, side := range []struct {
		name             string
		corrupted, found uint64
	}{
		{"kernel", o.out.Corrupted, uint64(o.kernel["TcpInCsumErrors"])},
		{"stack", o.in.Corrupted, o.stack.InChecksumErrors},
	} {
		require.Positive(t, side.corrupted, side.name)
		require.GreaterOrEqual(t, side.found, side.corrupted/2, side.name)
		require.LessOrEqual(t, side.found, side.corrupted, side.name)
	}
}

// test has the ordeal take place, in a namespace of its own.
func (o ordeal) test(t *testing.T) {
	t.Run(o.name, func(t *testing.T) {
		t.Parallel()
		if !netns.Test(t) {
			return
		}
		for _, setting := range o.sysctls {
			name, value, _ := strings.Cut(setting, "=")
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0))
		}
		device, err := fault.New(overTap.open(t), fault.Config{Seed: o.seed(), Out: o.faults, In: o.faults})
		require.NoError(t, err)
		c := attach(t, device, newKernel(t), smolnet.Config{TCP: tcp.Config{Options: o.stack}})

		var result outcome
		passed := t.Run("streams", func(t *testing.T) { o.streams(t, c, &result) })
		result.out, result.in = device.Counters()
		result.stack, result.kernel = c.counters(), kernelStatistics(t)
		if !passed {
			t.Fatalf("frames out: %+v\nframes in: %+v\nstack: %+v\nkernel: %v",
				result.out, result.in, result.stack, result.kernel)
		}
		require.Zero(t, result.stack.EstabResets)
		for _, info := range []*unix.TCPInfo{result.receiver, result.sender} {
			require.Equal(t, usual&^o.without|o.with, options(info.Options)&^ecnSeen)
		}
		if o.check != nil {
			o.check(t, &result)
		}
	})
}

// streams has both sides send at once.
func (o *ordeal) streams(t *testing.T, c *cable, result *outcome) {
	for _, s := range []struct {
		name   string
		sender *host
		info   **unix.TCPInfo
	}{
		{"smolnet sends", c.stack, &result.receiver},
		{"kernel sends", c.kernel, &result.sender},
	} {
		from, to := o.connect(t, c, s.sender)
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			err := o.stream(t, from, to)
			*s.info = kernelInfo(t, kernelEnd(from, to))
			require.NoError(t, err, "the kernel's end: %+v", *s.info)
		})
	}
}

// seed is the ordeal's own.
func (o *ordeal) seed() uint64 {
	h := fnv.New64a()
	io.WriteString(h, o.name)
	return h.Sum64()
}

// connect returns both ends of a connection, first that of who sends.
func (o *ordeal) connect(t *testing.T, c *cable, sender *host) (from, to stream) {
	t.Helper()
	caller := sender
	if o.kernelCalls {
		caller = c.kernel
	}
	i := slices.IndexFunc(c.ways(), func(w way) bool { return w.client == caller && w.to.Is6() == o.ipv6 })
	from, to = c.ways()[i].connect(t)
	if caller != sender {
		from, to = to, from
	}
	for _, end := range []net.Conn{from, to} {
		require.NoError(t, end.SetDeadline(time.Now().Add(ordealPatience)))
	}
	control(t, kernelEnd(from, to), func(fd int) error {
		err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, cmp.Or(o.congestion, "cubic"))
		if o.congestion != "" && errors.Is(err, unix.ENOENT) {
			t.Logf("this kernel has no %s: only the stack uses it", o.congestion)
			return nil
		}
		return err
	})
	return from, to
}

// stream sends octets that say nothing. They must arrive as they are, and both ends learn that nothing follows.
func (o *ordeal) stream(t *testing.T, from, to stream) error {
	began := time.Now()
	written, read := sha256.New(), sha256.New()
	writing := start(func() error {
		noise := io.LimitReader(rand.NewChaCha8([32]byte{byte(o.seed())}), o.octets)
		if _, err := io.Copy(from, io.TeeReader(noise, written)); err != nil {
			return err
		}
		return from.CloseWrite()
	})
	n, err := io.Copy(read, to)
	took := time.Since(began)
	t.Logf("%d octets in %v, %.1f MB/s", n, took.Round(time.Millisecond), float64(n)/1e6/took.Seconds())
	if err = errors.Join(err, <-writing); err != nil {
		return err
	}
	if n != o.octets {
		return fmt.Errorf("%d octets were written, and %d read", o.octets, n)
	}
	if w, r := written.Sum(nil), read.Sum(nil); !bytes.Equal(w, r) {
		return fmt.Errorf("what was read has the hash %x, and what was written %x", r, w)
	}
	if err := to.CloseWrite(); err != nil {
		return err
	}
	if n, err := from.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return fmt.Errorf("%d octets and error %v, instead of the end, came from who was to read", n, err)
	}
	return nil
}

// kernelEnd is that of the two ends which is the kernel's.
func kernelEnd(a, b stream) *net.TCPConn {
	if end, ok := a.(*net.TCPConn); ok {
		return end
	}
	return b.(*net.TCPConn)
}

// control does something with a socket of the kernel's.
func control(t *testing.T, end *net.TCPConn, do func(fd int) error) {
	t.Helper()
	raw, err := end.SyscallConn()
	require.NoError(t, err)
	failure := raw.Control(func(fd uintptr) { err = do(int(fd)) })
	require.NoError(t, errors.Join(failure, err))
}

// kernelInfo is what the kernel says of its end of a connection.
func kernelInfo(t *testing.T, end *net.TCPConn) (info *unix.TCPInfo) {
	t.Helper()
	control(t, end, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	return info
}

// kernelStatistics are the kernel's counters that have counted anything, as nstat names them.
func kernelStatistics(t *testing.T) map[string]int {
	t.Helper()
	statistics := map[string]int{}
	for _, file := range []string{"snmp", "netstat"} {
		b, err := os.ReadFile("/proc/self/net/" + file)
		require.NoError(t, err)
		// There are two lines of each group: the names, and the values.
		names := map[string][]string{}
		for line := range strings.Lines(string(b)) {
			group, rest, _ := strings.Cut(line, ":")
			fields := strings.Fields(rest)
			if names[group] == nil {
				names[group] = fields
				continue
			}
			for i, field := range fields {
				value, err := strconv.Atoi(field)
				require.NoError(t, err)
				if value != 0 {
					statistics[group+names[group][i]] = value
				}
			}
		}
	}
	return statistics
}
