package zep

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smolnet/smolnet/core/wire"
)

// FuzzZEP: whatever is in a datagram, what is taken for a frame can have been sent as one, and a datagram made of that frame is
// taken for the same.
func FuzzZEP(f *testing.F) {
	config := Config{Channel: 26, DeviceID: 7}
	now := time.Unix(1_700_000_000, 123_456_789)
	data := func(frame string) []byte {
		b := appendHeader(nil, &config, typeData, now, 1, len(frame)+wire.IEEE802154FCSLen)
		return append(b, wire.AppendIEEE802154FCS([]byte(frame))...)
	}
	f.Add(data("ping!"))
	f.Add(data("\x02\x00\x07"))
	f.Add(appendHello(nil, &config, now))
	f.Add([]byte("EX\x02\x02\x00\x00\x00\x01"))
	f.Add([]byte("EX\x01\x1a\x00\x00\x00\xff\x00\x00\x00\x00\x00\x00\x00\x03p\xd3\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, wrong := parse(b, config.Channel)
		if wrong != none {
			require.Nil(t, frame)
			return
		}
		require.NotEmpty(t, frame)
		require.LessOrEqual(t, len(frame), 125)
		again, wrong := parse(data(string(frame)), config.Channel)
		require.Equal(t, none, wrong)
		require.Equal(t, frame, again)
	})
}
