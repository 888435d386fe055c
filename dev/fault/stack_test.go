package fault_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core"
	"github.com/smolnet/smolnet/core/storage"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/fault"
	"github.com/smolnet/smolnet/dev/pipe"
	"github.com/smolnet/smolnet/smolnet"
)

func addresses(host string) []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("192.168.69." + host + "/24"), netip.MustParsePrefix("fdaa::" + host + "/64")}
}

// pair is two stacks in virtual time, the first on a faulty device, the second at the other end of the pipe.
type pair struct {
	*wrapped
	stacks [2]*core.Stack
	now    time.Time
}

func newPair(t *testing.T, link pipe.Config, config fault.Config) *pair {
	s := &pair{wrapped: wrap(t, link, config), now: epoch}
	for i, device := range []dev.Device{s.d, s.other} {
		stack, err := core.New(epoch, core.Config{Rand: rand.NewChaCha8([32]byte{byte(i)})})
		require.NoError(t, err)
		_, err = stack.AddInterface(epoch, core.InterfaceConfig{Device: device, DuplicateDetection: core.DetectNone, Addresses: addresses([]string{"1", "100"}[i])})
		require.NoError(t, err)
		s.stacks[i] = stack
		t.Cleanup(func() { stack.Close(s.now) })
	}
	return s
}

// until runs both stacks, each for as long as it has something to do, until done is true.
func (s *pair) until(done func() bool) {
	s.t.Helper()
	for range 1_000_000 {
		for s.stacks[0].Poll(s.now) || s.stacks[1].Poll(s.now) {
		}
		if done() {
			return
		}
		var next time.Time
		for _, stack := range s.stacks {
			if when, ok := stack.PollAt(); ok && (next.IsZero() || when.Before(next)) {
				next = when
			}
		}
		require.False(s.t, next.IsZero(), "nothing will ever happen")
		if next.After(s.now) {
			s.now = next
		}
	}
	s.t.Fatal("the stacks never rest")
}

// transfer sends octets from the first stack to the second and as many back, and returns how long it took.
func (s *pair) transfer(remote string, octets int) time.Duration {
	t := s.t
	t.Helper()
	start := s.now
	l, err := s.stacks[1].TCP().Listen(tcp.ListenConfig{Local: netip.MustParseAddrPort("[::]:80"), DualStack: true})
	require.NoError(t, err)
	client, err := s.stacks[0].TCP().Dial(s.now, tcp.DialConfig{Remote: netip.MustParseAddrPort(remote)})
	require.NoError(t, err)
	s.until(func() bool { return l.Pending() > 0 })
	ends := [2]*tcp.Conn{client, l.Accept()}

	data := make([]byte, octets)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	left := [2][]byte{data, data}
	var got [2]bytes.Buffer
	s.until(func() bool {
		for i, c := range ends {
			for len(left[i]) > 0 {
				var f storage.Fill
				n, err := c.Reserve(&f, len(left[i]))
				require.NoError(t, err)
				if n == 0 {
					break
				}
				left[i] = left[i][f.Write(left[i][:n]):]
				c.Commit(s.now, &f)
			}
			if len(left[i]) == 0 && left[i] != nil {
				left[i] = nil
				c.CloseWrite(s.now)
			}
			var q storage.Queue
			b := make([]byte, c.Received())
			c.Receive(len(b), &q)
			q.Read(b)
			c.Consumed(s.now, len(b))
			got[i].Write(b)
		}
		return ends[0].ReadClosed() && ends[1].ReadClosed() && got[0].Len() >= octets && got[1].Len() >= octets
	})
	for i := range got {
		require.Equal(t, sha256.Sum256(data), sha256.Sum256(got[i].Bytes()))
	}
	return s.now.Sub(start)
}

var versions = []struct{ name, remote string }{{"IPv4", "192.168.69.100:80"}, {"IPv6", "[fdaa::100]:80"}}

// offloading is a link on which stacks leave to the device what they can of TCP.
var offloading = pipe.Config{Medium: dev.IP, SegmentTCP4: true, SegmentTCP6: true, Checksum: dev.Checksums{TCP: dev.ChecksumTx}}

func TestStreamsSurvive(t *testing.T) {
	bad := fault.Direction{Drop: .02, Corrupt: .02, Duplicate: .02, Reorder: .02, Delay: 5 * time.Millisecond, Jitter: time.Millisecond}
	for _, link := range []struct {
		name   string
		config pipe.Config
	}{{"Ethernet", pipe.Config{}}, {"IP", ip}, {"offloads", offloading}, {"short queue", pipe.Config{Medium: dev.IP, Queue: 3}}} {
		for _, version := range versions {
			t.Run(link.name+" "+version.name, func(t *testing.T) {
				run := func(seed uint64) (took time.Duration, out, in fault.Counters) {
					s := newPair(t, link.config, fault.Config{Seed: seed, Out: bad, In: bad})
					took = s.transfer(version.remote, 500_000)
					out, in = s.d.Counters()
					return took, out, in
				}
				took, out, in := run(1)
				for _, c := range []fault.Counters{out, in} {
					require.NotZero(t, c.Dropped.Chance)
					require.NotZero(t, c.Corrupted)
					require.NotZero(t, c.Duplicated)
					require.NotZero(t, c.Reordered)
					require.Greater(t, c.Frames, uint64(500_000/1460), "super-segments are split")
				}
				again, outAgain, inAgain := run(1)
				require.Equal(t, took, again, "the same seed, the same story")
				require.Equal(t, out, outAgain)
				require.Equal(t, in, inAgain)
				other, _, _ := run(2)
				require.NotEqual(t, took, other)
			})
		}
	}
}

func TestNothingIsLostWithoutFaults(t *testing.T) {
	for _, version := range versions {
		for _, tc := range []struct {
			name   string
			config fault.Config
		}{{"zero value", fault.Config{}}, {"looked at", fault.Config{Out: looked, In: looked}}} {
			t.Run(version.name+" "+tc.name, func(t *testing.T) {
				s := newPair(t, offloading, tc.config)
				s.transfer(version.remote, 500_000)
				for _, stack := range s.stacks {
					require.Zero(t, stack.Counters().TCP.RetransSegs)
					require.Zero(t, stack.Counters().TCP.InErrs)
				}
			})
		}
	}
}

func TestABandwidthIsWhatAStreamGets(t *testing.T) {
	s := newPair(t, offloading, fault.Config{
		Out: fault.Direction{Bandwidth: 125_000, Delay: 10 * time.Millisecond},
		In:  fault.Direction{Bandwidth: 125_000, Delay: 10 * time.Millisecond},
	})
	const octets = 1_000_000
	seconds := s.transfer(versions[0].remote, octets).Seconds()
	require.Greater(t, seconds, 1.04*octets/125_000, "headers and acknowledgments come on top")
	require.Less(t, seconds, 1.25*octets/125_000)
}

func TestTheThirdDataSegmentIsDroppedAndSentAgain(t *testing.T) {
	for _, version := range versions {
		t.Run(version.name, func(t *testing.T) {
			var sequence []uint32
			third := func(f fault.Frame) fault.Action {
				if len(f.TCP.Payload()) == 0 {
					return fault.Pass
				}
				sequence = append(sequence, f.TCP.Seq())
				if len(sequence) == 3 {
					return fault.Drop
				}
				return fault.Pass
			}
			s := newPair(t, offloading, fault.Config{Out: fault.Direction{
				Delay: time.Millisecond,
				Script: func(f fault.Frame) fault.Action {
					if f.TCP == nil {
						return fault.Pass
					}
					return third(f)
				},
			}})
			s.transfer(version.remote, 100_000)
			out, _ := s.d.Counters()
			require.Equal(t, fault.Drops{Script: 1}, out.Dropped)
			again := 0
			for _, seq := range sequence[3:] {
				if seq == sequence[2] {
					again++
				}
			}
			require.Equal(t, 1, again)
			require.EqualValues(t, 1, s.stacks[0].Counters().TCP.RetransSegs)
		})
	}
}

// The smolnet shell drives the device with goroutines of its own, by the waits and by a timer.
func TestUnderTheShellInVirtualTime(t *testing.T) {
	bad := fault.Direction{Drop: .01, Corrupt: .01, Duplicate: .01, Reorder: .02, Delay: 5 * time.Millisecond, Jitter: time.Millisecond}
	for _, tc := range []struct {
		name   string
		link   pipe.Config
		config fault.Config
		least  time.Duration // that the transfer takes
	}{
		{"nothing is done", pipe.Config{}, fault.Config{}, 0},
		{"delay", offloading, fault.Config{Out: fault.Direction{Delay: time.Second}, In: fault.Direction{Delay: time.Second}}, 6 * time.Second},
		{"faults", ip, fault.Config{Out: bad, In: bad}, 30 * time.Millisecond}, // not Ethernet: ARP has no checksum
		{"faults and a short queue", pipe.Config{Medium: dev.IP, Queue: 2}, fault.Config{Out: bad, In: bad}, 30 * time.Millisecond},
		{"bandwidth", offloading, fault.Config{Out: fault.Direction{Bandwidth: 125_000}}, 2 * time.Second},
	} {
		for _, version := range versions {
			t.Run(tc.name+" "+version.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := wrap(t, tc.link, tc.config)
					var stacks [2]*smolnet.Stack
					for i, device := range []dev.Device{w.d, w.other} {
						stack, err := smolnet.New(smolnet.Config{})
						require.NoError(t, err)
						t.Cleanup(func() { require.NoError(t, stack.Close()) })
						_, err = stack.AddInterface(smolnet.Interface{Device: device, DuplicateDetection: core.DetectNone, Addresses: addresses([]string{"1", "100"}[i])})
						require.NoError(t, err)
						stacks[i] = stack
					}
					l, err := stacks[1].Listen("tcp", version.remote)
					require.NoError(t, err)
					data := make([]byte, 300_000)
					_, _ = rand.NewChaCha8([32]byte{}).Read(data)
					start := time.Now()
					go func() {
						c, err := l.Accept()
						if err != nil {
							return
						}
						_, _ = io.Copy(c, c)
						_ = c.Close()
					}()
					c, err := stacks[0].Dial("tcp", version.remote)
					require.NoError(t, err)
					go func() {
						_, _ = c.Write(data)
						_ = c.(*smolnet.TCPConn).CloseWrite()
					}()
					got, err := io.ReadAll(c)
					require.NoError(t, err)
					require.Equal(t, sha256.Sum256(data), sha256.Sum256(got))
					require.GreaterOrEqual(t, time.Since(start), tc.least)
					require.Less(t, time.Since(start), time.Minute)
					require.NoError(t, c.Close())
					require.NoError(t, l.Close())
				})
			})
		}
	}
}
