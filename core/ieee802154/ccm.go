package ieee802154

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// ccm is AES-CCM* with one key: counter mode with a message integrity code, for nonces of 13 octets, as IEEE 802.15.4 has it in
// annex B and RFC 3610 without the star. The star is that there may be a code without encryption, or encryption without a code.
//
// Its blocks are here and not in functions' frames because what is handed to a cipher.Block escapes to the heap.
type ccm struct {
	block                 cipher.Block
	code, counter, stream [blockLen]byte
}

const (
	blockLen  = 16
	nonceLen  = 13
	lengthLen = blockLen - 1 - nonceLen // octets for the length of the message, and for the number of a block

	ccmHasClear   = 1 << 6 // flag: there are octets that are authenticated only
	ccmCodeShift  = 3      // above it, half of what the code's length exceeds two octets by
	ccmLengthFlag = lengthLen - 1
)

// nonce is what never repeats with one key.
type nonce [nonceLen]byte

// seal secures a frame in place: what lies behind its first clear octets and before the last micLen is encrypted, everything
// before those is authenticated, and they become the message integrity code.
func (c *ccm) seal(n *nonce, frame []byte, clear, micLen int) {
	end := len(frame) - micLen
	c.authenticate(n, frame[:clear], frame[clear:end], micLen)
	c.crypt(n, frame[clear:end])
	copy(frame[end:], c.code[:micLen])
}

// open undoes seal, and reports whether the code is as it should be. If it is not, the frame's octets are of no use.
func (c *ccm) open(n *nonce, frame []byte, clear, micLen int) bool {
	end := len(frame) - micLen
	c.code = [blockLen]byte{}
	c.crypt(n, frame[clear:end])
	c.authenticate(n, frame[:clear], frame[clear:end], micLen)
	return subtle.ConstantTimeCompare(c.code[:micLen], frame[end:]) == 1
}

// authenticate makes c.code the message integrity code of so many octets, encrypted, for octets in clear and a message.
func (c *ccm) authenticate(n *nonce, clear, message []byte, micLen int) {
	if micLen == 0 {
		return
	}
	c.code[0] = byte((micLen-2)/2<<ccmCodeShift | ccmLengthFlag)
	if len(clear) > 0 {
		c.code[0] |= ccmHasClear
	}
	copy(c.code[1:], n[:])
	binary.BigEndian.PutUint16(c.code[1+nonceLen:], uint16(len(message)))
	c.block.Encrypt(c.code[:], c.code[:])
	if len(clear) > 0 {
		var length [2]byte
		binary.BigEndian.PutUint16(length[:], uint16(len(clear)))
		c.pad(c.absorb(clear, c.absorb(length[:], 0)))
	}
	c.pad(c.absorb(message, 0))

	c.keystream(n, 0)
	subtle.XORBytes(c.code[:], c.code[:], c.stream[:])
}

// absorb adds b to c.code, in whose current block at octets have been added. It returns how many have been afterwards.
func (c *ccm) absorb(b []byte, at int) int {
	for len(b) > 0 {
		added := subtle.XORBytes(c.code[at:], c.code[at:], b)
		if at += added; at == blockLen {
			c.block.Encrypt(c.code[:], c.code[:])
			at = 0
		}
		b = b[added:]
	}
	return at
}

// pad ends a block of which at octets have been added.
func (c *ccm) pad(at int) {
	if at > 0 {
		c.block.Encrypt(c.code[:], c.code[:])
	}
}

// crypt encrypts a message, or decrypts it.
func (c *ccm) crypt(n *nonce, message []byte) {
	for i := uint16(1); len(message) > 0; i++ {
		c.keystream(n, i)
		message = message[subtle.XORBytes(message, message, c.stream[:]):]
	}
}

// keystream makes c.stream the key stream's block of that number.
func (c *ccm) keystream(n *nonce, number uint16) {
	c.counter[0] = ccmLengthFlag
	copy(c.counter[1:], n[:])
	binary.BigEndian.PutUint16(c.counter[1+nonceLen:], number)
	c.block.Encrypt(c.stream[:], c.counter[:])
}
