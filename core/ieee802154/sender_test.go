package ieee802154

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// radio tells a Sender what happens, and holds it to what it should want.
type radio struct {
	*testing.T
	sender Sender
	now    int64
}

func newRadio(t *testing.T, cfg SenderConfig) *radio {
	sender, err := NewSender(cfg)
	require.NoError(t, err)
	return &radio{T: t, sender: sender}
}

// start begins to send a frame.
func (r *radio) start(seq uint8, octets int) { r.sender.Start(r.now, seq, octets) }

// pass lets time go by, nothing of which matters to the sender.
func (r *radio) pass(d time.Duration) {
	r.Helper()
	r.now += int64(d)
	if at, ok := r.sender.Deadline(); ok {
		require.Less(r, r.now, at)
	}
	require.Equal(r, Wait, r.sender.Expired(r.now, 0), "before the deadline")
}

// expires lets the time of the deadline come, which has to be after d, and holds the sender to what it wants then.
func (r *radio) expires(d time.Duration, random uint32, want Action, why string) {
	r.Helper()
	at, ok := r.sender.Deadline()
	require.True(r, ok, why)
	require.Equal(r, d, time.Duration(at-r.now), why)
	r.now = at
	require.Equal(r, want, r.sender.Expired(r.now, random), why)
}

// wait is the time to the deadline.
func (r *radio) wait() time.Duration {
	at, _ := r.sender.Deadline()
	return time.Duration(at - r.now)
}

func (r *radio) acked(seq uint8, want bool, why string) {
	r.Helper()
	require.Equal(r, want, r.sender.Acked(r.now, seq), why)
}

func (r *radio) wantIdle(attempts int) {
	r.Helper()
	_, ok := r.sender.Deadline()
	require.False(r, ok)
	require.False(r, r.sender.Busy())
	require.Equal(r, attempts, r.sender.Attempts())
	require.Equal(r, Wait, r.sender.Expired(r.now+int64(time.Hour), 0))
}

// air is how long a frame of so many octets is in the air, with preamble, delimiter, length and frame check sequence.
func air(octets int) time.Duration { return time.Duration(octets+8) * 32 * time.Microsecond }

func TestSenderAcknowledgedAtOnce(t *testing.T) {
	r := newRadio(t, SenderConfig{})
	r.start(7, 125)
	r.pass(air(125) + 800*time.Microsecond)
	r.acked(6, false, "a late one of the frame before")
	r.acked(7, true, "the frame's own")
	r.wantIdle(1)
	r.acked(7, false, "once more")
}

func TestSenderGivesUpAfterThreeRetries(t *testing.T) {
	r := newRadio(t, SenderConfig{})
	r.start(7, 100)
	r.expires(air(100)+DefaultAckWait, 0xff, Wait, "no acknowledgment: back off")
	r.expires(7*DefaultBackoff, 0, Retransmit, "2^3-1 units are over")
	require.Equal(t, uint8(7), r.sender.Seq())
	r.expires(air(100)+DefaultAckWait, 0xff, Wait, "no acknowledgment")
	r.expires(15*DefaultBackoff, 0, Retransmit, "2^4-1 units are over")
	r.expires(air(100)+DefaultAckWait, 0xfff0|3, Wait, "no acknowledgment")
	r.expires((0xfff3&31)*DefaultBackoff, 0, Retransmit, "as many units of 2^5 as the random number says")
	r.expires(air(100)+DefaultAckWait, 0xff, Failed, "three retries are enough")
	r.wantIdle(4)
}

// Over a network acknowledgments take longer than the standard knows.
func TestSenderWaitsAsLongAsItTakes(t *testing.T) {
	const network = 40 * time.Millisecond
	r := newRadio(t, SenderConfig{Backoff: -1, OctetTime: -1})
	var coming []arrival // acknowledgments
	copies := 0
	for seq := range uint8(100) {
		r.start(seq, 100)
		coming = append(coming, arrival{r.now + int64(network), seq})
		for r.sender.Busy() {
			at, _ := r.sender.Deadline()
			if len(coming) > 0 && coming[0].at < at {
				r.now = coming[0].at
				r.sender.Acked(r.now, coming[0].seq)
				coming = coming[1:]
				continue
			}
			r.now = at
			if r.sender.Expired(r.now, 0) == Retransmit {
				copies++
				coming = append(coming, arrival{r.now + int64(network), seq})
			}
		}
		r.now += int64(network) // what is late comes before the next
		for ; len(coming) > 0 && coming[0].at <= r.now; coming = coming[1:] {
			r.sender.Acked(coming[0].at, coming[0].seq)
		}
	}
	require.Less(t, copies, 30, "the first frames are sent in vain, the others are waited for")

	r.start(200, 100)
	r.expires(r.wait(), 0, Retransmit, "one is lost")
	require.Less(t, r.wait(), 250*time.Millisecond, "no longer than Duplicates remembers frames")
}

// arrival is an acknowledgment on its way.
type arrival struct {
	at  int64
	seq uint8
}

// Who does not answer at all is no reason to wait longer for others.
func TestSenderIsNotHeldUpByTheDead(t *testing.T) {
	r := newRadio(t, SenderConfig{Backoff: -1, OctetTime: -1})
	for range 50 {
		r.start(1, 100)
		for r.sender.Busy() {
			r.now, _ = r.sender.Deadline()
			r.sender.Expired(r.now, 0)
		}
	}
	r.start(2, 100)
	require.Equal(t, DefaultAckWait, r.wait())
}

func TestSenderWithoutBackoff(t *testing.T) {
	r := newRadio(t, SenderConfig{Backoff: -1, OctetTime: -1, MaxRetries: 1, AckWait: 50 * time.Millisecond})
	r.start(7, 100)
	r.expires(50*time.Millisecond, 0xff, Retransmit, "no acknowledgment")
	r.expires(50*time.Millisecond, 0xff, Failed, "no acknowledgment")
	r.wantIdle(2)

	never := newRadio(t, SenderConfig{MaxRetries: -1})
	never.start(7, 3)
	never.expires(air(3)+DefaultAckWait, 0, Failed, "no retries")
	never.wantIdle(1)
}

func TestSenderDrawsZeroUnits(t *testing.T) {
	r := newRadio(t, SenderConfig{})
	r.start(7, 3)
	r.expires(air(3)+DefaultAckWait, 0x100, Retransmit, "no units to wait")
}

func TestSenderAcknowledgedLate(t *testing.T) {
	r := newRadio(t, SenderConfig{})
	r.start(7, 3)
	r.expires(air(3)+DefaultAckWait, 1, Wait, "no acknowledgment: back off")
	r.pass(DefaultBackoff / 2)
	r.acked(7, true, "it comes after all")
	r.wantIdle(1)

	r.start(8, 3)
	r.acked(7, false, "of the frame before")
	r.sender.Stop()
	r.wantIdle(1)
}

func TestSenderZeroValue(t *testing.T) {
	r := &radio{T: t}
	r.wantIdle(0)
	r.acked(0, false, "nothing is under way")
	r.start(0, 3)
	r.expires(air(3)+DefaultAckWait, 1, Wait, "the defaults")
}

func TestSenderConfig(t *testing.T) {
	for _, cfg := range []SenderConfig{
		{AckWait: 25 * time.Hour}, {Backoff: 25 * time.Hour}, {OctetTime: 25 * time.Hour}, {MaxRetries: 101},
	} {
		_, err := NewSender(cfg)
		require.ErrorIs(t, err, ErrInvalid, "%+v", cfg)
	}
}
