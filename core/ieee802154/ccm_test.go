package ieee802154

import (
	"bytes"
	"crypto/aes"
	"testing"

	"github.com/stretchr/testify/require"
)

func newCCM(t testing.TB, secret []byte) *ccm {
	block, err := aes.NewCipher(secret)
	require.NoError(t, err)
	return &ccm{block: block}
}

// RFC 3610, section 8, packet vectors: those whose code has a length that IEEE 802.15.4 knows.
func TestCCM(t *testing.T) {
	secret := unhex("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf")
	for _, tt := range []struct {
		name, nonce  string
		clear, total int // octets 00 01 02 …
		want         string
	}{
		{
			"vector 1", "00000003020100a0a1a2a3a4a5", 8, 31,
			"0001020304050607 588c979a61c663d2f066d0c2c0f989806d5f6b61dac384 17e8d12cfdf926e0",
		},
		{
			"vector 2", "00000004030201a0a1a2a3a4a5", 8, 32,
			"0001020304050607 72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3b a091d56e10400916",
		},
		{
			"vector 3", "00000005040302a0a1a2a3a4a5", 8, 33,
			"0001020304050607 51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da859657 4adaa76fbd9fb0c5",
		},
		{
			"vector 4", "00000006050403a0a1a2a3a4a5", 12, 31,
			"000102030405060708090a0b a28c6865939a9a79faaa5c4c2a9d4a91cdac8c 96c861b9c9e61ef1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, n := newCCM(t, secret), nonce(unhex(tt.nonce))
			frame := make([]byte, tt.total+8)
			for i := range tt.total {
				frame[i] = byte(i)
			}
			plain := bytes.Clone(frame[:tt.total])
			c.seal(&n, frame, tt.clear, 8)
			require.Equal(t, unhex(tt.want), frame)

			for i := range frame {
				forged := bytes.Clone(frame)
				forged[i] ^= 0x10
				require.False(t, c.open(&n, forged, tt.clear, 8), "octet %d changed", i)
			}
			require.True(t, c.open(&n, frame, tt.clear, 8))
			require.Equal(t, plain, frame[:tt.total])
		})
	}
}

// Of all lengths of what is clear, what is encrypted and the code, what was sealed opens.
func TestCCMOfAllLengths(t *testing.T) {
	c, n := newCCM(t, make([]byte, 16)), nonce{1, 2, 3}
	for _, micLen := range []int{0, 4, 8, 16} {
		for clear := range 35 {
			for message := range 35 {
				plain := bytes.Repeat([]byte{0x5a}, clear+message)
				frame := append(bytes.Clone(plain), make([]byte, micLen)...)
				c.seal(&n, frame, clear, micLen)
				require.Equal(t, plain[:clear], frame[:clear])
				if message > 7 {
					require.NotEqual(t, plain[clear:], frame[clear:clear+message])
				}
				require.True(t, c.open(&n, frame, clear, micLen))
				require.Equal(t, plain, frame[:clear+message])
			}
		}
	}
}

func BenchmarkCCM(b *testing.B) {
	c, n, frame := newCCM(b, make([]byte, 16)), nonce{}, make([]byte, 125)
	b.SetBytes(125)
	b.ReportAllocs()
	for b.Loop() {
		c.seal(&n, frame, 26, 4)
	}
}
