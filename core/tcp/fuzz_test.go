package tcp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/ip"
	"github.com/smolnet/smolnet/core/storage"
)

// fuzzed is a connection to which anything may happen, as a row of octets says.
type fuzzed struct {
	*script
	octets []byte
	fill   storage.Fill
	filled bool // between Reserve and Commit
	most   int  // the largest receive buffer there was
}

// next returns the next octet, 0 once there is none.
func (f *fuzzed) next() int {
	if len(f.octets) == 0 {
		return 0
	}
	b := f.octets[0]
	f.octets = f.octets[1:]
	return int(b)
}

// near returns an offset that is mostly small, and sometimes beyond every window.
func (f *fuzzed) near() uint32 {
	n := f.next()
	offset := uint32(int8(n))
	switch n & 7 {
	case 6:
		offset *= 1 << 8
	case 7:
		offset *= 1 << 20
	default:
		offset /= 8
	}
	return offset
}

// begin opens the connection in one of the ways there are.
func (f *fuzzed) begin() {
	options := &Options{}
	how := f.next()
	if how&4 != 0 {
		options.ReceiveBuffer, options.SendBuffer = 64, 64
	}
	if how&8 != 0 {
		options.Nagle, options.Congestion = true, "none"
	} else {
		options.Congestion = []string{"reno", "cubic", "bbr"}[f.next()%3]
	}
	if how&16 != 0 {
		options.UserTimeout = 10 * time.Second
		options.KeepAlive = KeepAlive{Enable: true, Idle: 20 * time.Second, Interval: time.Second, Count: 3}
	}
	f.net.segment = how&32 != 0
	options.FastOpen = how&64 != 0
	if how&128 != 0 {
		f.host.config.SYNCookies = CookiesAlways
	}
	f.irs = -uint32(f.next())
	f.most = max(options.ReceiveBuffer, 1<<20)
	agrees := f.next() // to what is negotiated
	if agrees&1 != 0 {
		options.ECN = ECNRequest
	}
	if agrees&2 != 0 {
		f.host.memory.limit = int64(f.next()) << 6
	}
	if agrees&4 != 0 && how&4 == 0 {
		options.ReceiveBuffer, options.SendBuffer = 0, 0
		f.host.config.Options.ReceiveBuffer, f.host.config.Options.SendBuffer = 0, 0
		f.most = f.host.config.Limits.ReceiveBuffer
	}
	syn := seg{flags: "S", win: 65535, mss: []int{1460, 1, 536, 60}[agrees>>6], ws: how & 3, sackOK: agrees&8 != 0, ts: agrees&16 != 0}
	switch how & 3 {
	case 0, 1:
		if options.FastOpen {
			f.learnCookie("ABCDEFGH")
		}
		f.dialData(options, "sent with the SYN"[:how>>4])
		f.iss = f.conn.iss
		if how&3 == 1 {
			syn.flags, syn.ack, syn.ws = "S.", 1, 3
			if agrees&32 != 0 {
				syn.flags = "S.E"
			}
			f.recv(syn)
		}
	case 2, 3:
		l := f.listen(func(c *ListenConfig) { c.Options = options })
		if agrees&32 != 0 {
			syn.flags = "SEW"
		}
		i := newID(f.local, f.peer, 0)
		cookie := f.host.fastOpen.cookie(&i, 0)
		syn.data, syn.tfo = "hi", string(cookie.Bytes())
		f.recv(syn)
		answer, _ := f.decode(f.net.sent[0])
		f.net.sent = f.net.sent[1:]
		f.answers()
		if f.conn = l.Accept(); f.conn == nil { // it was not opened fast
			f.recv(seg{flags: ".", seq: 1, ack: 1, win: 65535, ts: syn.ts, tsecr: answer.tsval})
			f.conn = l.Accept()
		}
		f.conn.SetOwner(f.owner)
	}
}

// arrive has a segment arrive with the options that were agreed on, such as they may be.
func (f *fuzzed) arrive(sg seg) {
	c := f.conn
	how := f.next()
	if c.ts.on && how&7 != 7 {
		sg.ts, sg.tsval = true, c.ts.recent+f.near()/64
		sg.tsecr = uint32(f.since()/tsTick) - uint32(f.next())
	}
	if c.sackOK && how&8 != 0 {
		una, flight := c.sndUna-f.iss, uint32(distance(c.sndUna, c.sndNxt))
		for range 1 + how>>6 {
			left := una + uint32(f.next())*(flight+256)/256 - uint32(f.next()&3)
			sg.sack = append(sg.sack, [2]uint32{left, left + uint32(f.next())*32})
		}
	}
	if how&16 != 0 {
		sg.flags += []string{"E", "W", "EW", "E"}[f.next()%4]
	}
	p := f.packet(sg)
	if how&32 != 0 {
		p.IP.TrafficClass |= ecnMarked
	}
	f.recvPacket(p)
}

// step does what the next octets say.
func (f *fuzzed) step() {
	c := f.conn
	switch action := f.next(); action % 16 {
	case 0, 1, 2, 3: // any segment near the windows
		n := f.next()
		flags := ""
		for i, letter := range []string{"F", "S", "R", "P", "."} {
			// Resets and SYNs are rare, acknowledgments are not.
			if n>>i&1 != 0 == (i != 4) && (i != 1 && i != 2 || action >= 128) {
				flags += letter
			}
		}
		f.arrive(seg{
			flags: flags, seq: c.rcvNxt - f.irs + f.near(), ack: c.sndUna - f.iss + f.near(),
			len: f.next() >> (action >> 4 & 3) * 11, win: f.next() << (action >> 6), ws: action >> 7, mss: action >> 7 * 500,
		})
	case 4, 5: // a segment in sequence, which acknowledges everything
		f.arrive(seg{flags: ".", seq: c.rcvNxt - f.irs, ack: c.sndNxt - f.iss, len: f.next() * 6, win: 65535})
	case 6: // one that acknowledges nothing
		f.arrive(seg{flags: ".", seq: c.rcvNxt - f.irs, ack: c.sndUna - f.iss, win: f.next() << 4})
	case 7:
		f.after(time.Duration(f.next()*f.next()) * time.Millisecond)
	case 8:
		if !f.filled {
			if n, err := c.Reserve(&f.fill, 1+f.next()*f.next()); err == nil && n > 0 {
				f.filled = true
				for f.fill.Room() > 0 {
					f.fill.Write([]byte("written"))
				}
			}
		}
	case 9:
		if f.filled {
			c.Commit(f.now, &f.fill)
			f.filled = false
		}
	case 10, 11:
		n := c.Receive(f.next()*10, &f.read)
		f.read.Reset()
		c.Consumed(f.now, n)
	case 12:
		switch f.next() % 8 {
		case 0:
			c.CloseWrite(f.now)
		case 1:
			c.CloseRead(f.now)
		case 2:
			c.Close(f.now)
		case 3:
			c.Abort(f.now)
		default:
			name := []string{"reno", "cubic", "bbr", "none"}[f.next()%4]
			require.NoError(f.t, c.SetCongestionControl(f.now, name))
		}
	case 13:
		n := f.next() << (action >> 4)
		require.NoError(f.t, c.SetReadBuffer(n))
		f.most = max(f.most, n)
		require.NoError(f.t, c.SetWriteBuffer(n))
	case 14:
		require.NoError(f.t, c.SetKeepAlive(f.now, KeepAlive{Enable: action&16 != 0, Idle: time.Second, Interval: time.Second}))
		require.NoError(f.t, c.SetUserTimeout(f.now, time.Duration(f.next())*time.Second))
		c.SetNoDelay(action&32 != 0)
		c.SetLinger(int(int8(f.next())))
	case 15:
		kind := []ip.ErrorKind{ip.PacketTooBig, ip.HostUnreachable, ip.PortUnreachable}[f.next()%3]
		f.icmp(kind, f.next()*8, c.sndUna-f.iss+f.near())
	}
	f.answers()
}

func (f *fuzzed) check() {
	c := f.conn
	f.wantConsistent()
	require.LessOrEqual(f.t, c.Info().Unread, f.most+f.most/16, "what is unread stays near the buffer's size")
	if c.rcvOoo != nil {
		require.LessOrEqual(f.t, c.rcvOoo.Cost(), max(outOfOrderFactor*f.most, minOutOfOrder))
	}
	require.LessOrEqual(f.t, c.sndQ.Len(), f.most, "no more is queued than there was room for")
	require.False(f.t, c.err != nil && c.state != Closed)
}

func runFuzzed(t *testing.T, octets []byte) {
	f := &fuzzed{script: newScript(t), octets: octets}
	f.begin()
	f.answers()
	f.check()
	for len(f.octets) > 0 {
		f.step()
		f.check()
	}
	if f.filled {
		f.conn.Commit(f.now, &f.fill)
	}
	// Once its user has gone, and the peer fallen silent, nothing is left of it before long.
	f.conn.Close(f.now)
	for _, l := range f.host.listeners {
		l.Close(f.now) // the peer may have opened another
	}
	f.answers()
	f.after(time.Hour)
	f.answers()
	f.wantConsistent()
	require.Zero(t, f.host.table.len)
	require.Zero(t, f.host.counters.CurrEstab)
	if len(f.host.listeners) == 0 {
		require.Zero(t, f.host.memory.used)
	}
	require.Zero(t, f.conn.sndQ.Len())
	require.Zero(t, f.conn.Received())
}

func FuzzConn(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(randomOctets(seed, 400))
	}
	f.Fuzz(func(t *testing.T, octets []byte) { runFuzzed(t, octets[:min(len(octets), 4000)]) })
}

func TestAnythingMayHappen(t *testing.T) {
	for seed := range uint64(300) {
		runFuzzed(t, randomOctets(seed, 1000))
	}
}

func randomOctets(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 5))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}
