package serial

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// octets reads hexadecimal with spaces.
func octets(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// deframe feeds a line to a deframer and returns what comes of it: frames, and verdicts in the order in which they fell.
func deframe(d *deframer, line []byte) (frames [][]byte, verdicts []verdict) {
	for _, octet := range line {
		frame, v := d.push(octet)
		if v == whole {
			frames = append(frames, bytes.Clone(frame))
		}
		if v != unfinished {
			verdicts = append(verdicts, v)
		}
	}
	return frames, verdicts
}

func TestFCSOfTheCommonExample(t *testing.T) {
	fcs := uint16(fcsBegin)
	for _, octet := range []byte("123456789") {
		fcs = fcsNext(fcs, octet)
	}
	require.EqualValues(t, 0x906e, ^fcs)
	fcs = fcsNext(fcsNext(fcs, 0x6e), 0x90)
	require.EqualValues(t, fcsGood, fcs)
}

func TestFramesOnTheLine(t *testing.T) {
	for _, tt := range []struct{ name, frame, line string }{
		{"the package's example", "02 00 7e", "7e 02 00 7d5e 8d e9 7e"},
		{"every octet with a meaning", "7e 7d 11 13", "7e 7d5e 7d5d 7d31 7d33 2d d9 7e"},
		{"nothing to escape", "31 32 33 34 35 36 37 38 39", "7e 31 32 33 34 35 36 37 38 39 6e 90 7e"},
		{"an FCS that is escaped", "41 88 3a aa", "7e 41 88 3a aa 7d5e 7d5d 7e"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := appendFrame(nil, octets(t, tt.frame))
			require.Equal(t, octets(t, tt.line), line, "% x", line)
			frames, verdicts := deframe(new(deframer), line)
			require.Equal(t, [][]byte{octets(t, tt.frame)}, frames)
			require.Equal(t, []verdict{whole}, verdicts)
		})
	}
}

func TestAFrameInPieces(t *testing.T) {
	require.Equal(t, appendFrame(nil, []byte("in pieces")), appendFrame(nil, []byte("in "), nil, []byte("pieces")))
}

func TestTheLongestFrameFits(t *testing.T) {
	longest := bytes.Repeat([]byte{flag}, maxFrame)
	line := appendFrame(nil, longest)
	require.LessOrEqual(t, len(line), maxFramed)
	frames, _ := deframe(new(deframer), line)
	require.Equal(t, [][]byte{longest}, frames)
}

func TestWhatIsNoFrame(t *testing.T) {
	const good = "02 00 7d5e 8d e9"
	for _, tt := range []struct {
		name, line string
		want       []verdict
	}{
		{"flags only", "7e 7e 7e 7e", nil},
		{"the end never comes", good, nil},
		{"the first flag is missing", good + "7e", []verdict{whole}},
		{"one flag between two frames", "7e" + good + "7e" + good + "7e", []verdict{whole, whole}},
		{"a changed octet", "7e 02 01 7d5e 8d e9 7e", []verdict{badFCS}},
		{"a lost octet", "7e 02 7d5e 8d e9 7e", []verdict{badFCS}},
		{"a lost flag", "7e" + good + good + "7e", []verdict{badFCS}},
		{"noise before the flag", "de ad be ef 7e" + good + "7e", []verdict{badFCS, whole}},
		{"XON and XOFF between the ends", "7e 11 02 00 13 7d 11 5e 8d 11 e9 13 7e", []verdict{whole}},
		{"more escaped than need be", "7e 7d22 7d20 7d5e 8d e9 7e", []verdict{whole}},
		{"given up", "7e 02 00 7d 7e" + good + "7e", []verdict{aborted, whole}},
		{"an FCS alone", "7e 00 00 7e", []verdict{tooShort}},
		{"too short, and right", "7e 02 6a d3 7e", []verdict{tooShort}},
		{"too long", "7e" + strings.Repeat("00", maxFrame+fcsLen+1) + "7e" + good + "7e", []verdict{tooLong, whole}},
		{"endless", strings.Repeat("00", 1<<20) + "7e" + good + "7e", []verdict{tooLong, whole}},
		{"endless escapes", strings.Repeat("7d", 1<<20) + "00 7e" + good + "7e", []verdict{tooLong, whole}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frames, verdicts := deframe(new(deframer), octets(t, tt.line))
			require.Equal(t, tt.want, verdicts)
			for _, frame := range frames {
				require.Equal(t, octets(t, "02 00 7e"), frame)
			}
		})
	}
}

// Whatever one bit is damaged, no wrong frame comes of it, and the frame behind it is received.
func TestNoDamagedBitGoesUnnoticed(t *testing.T) {
	frame, next := []byte("an IEEE 802.15.4 frame with 0x7e: \x7e"), []byte("the next")
	line := appendFrame(appendFrame(nil, frame), next)
	length := len(appendFrame(nil, frame))
	for bit := 8; bit < 8*(length-1); bit++ {
		damaged := bytes.Clone(line)
		damaged[bit/8] ^= 1 << (bit % 8)
		frames, _ := deframe(new(deframer), damaged)
		require.Equal(t, [][]byte{next}, frames, "bit %d", bit)
	}
}

func TestFramesAreFoundAmongNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var d deframer
	for range 1000 {
		noise := make([]byte, random.IntN(300))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		frame := make([]byte, minFrame+random.IntN(maxFrame-minFrame+1))
		for i := range frame {
			frame[i] = byte(random.Uint32())
		}
		frames, _ := deframe(&d, appendFrame(noise, frame))
		require.NotEmpty(t, frames)
		require.Equal(t, frame, frames[len(frames)-1])
	}
}

// FuzzDeframe holds that whatever comes over the line, frames have a legal length and are what their sender would have
// written, and that the line is in order again after a flag.
func FuzzDeframe(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x7e\x02\x00\x7d\x5e\x8d\xe9\x7e"))
	f.Add([]byte("\x7e\x7e\x02\x11\x00\x7d\x13\x5e\x8d\xe9\x7e\x7d\x7e"))
	f.Add(appendFrame([]byte("noise"), bytes.Repeat([]byte{escape}, maxFrame)))
	f.Add(bytes.Repeat([]byte{0}, 300))
	f.Fuzz(func(t *testing.T, line []byte) {
		var d deframer
		frames, _ := deframe(&d, line)
		for _, frame := range frames {
			require.GreaterOrEqual(t, len(frame), minFrame)
			require.LessOrEqual(t, len(frame), maxFrame)
			again, verdicts := deframe(new(deframer), appendFrame(nil, frame))
			require.Equal(t, [][]byte{frame}, again)
			require.Equal(t, []verdict{whole}, verdicts)
		}
		d.push(flag)
		require.Equal(t, 0, d.len)
		good := append([]byte("ok"), line[:min(len(line), maxFrame-2)]...)
		frames, verdicts := deframe(&d, appendFrame(nil, good))
		require.Equal(t, [][]byte{good}, frames)
		require.Equal(t, []verdict{whole}, verdicts)
	})
}
