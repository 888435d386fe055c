//go:build !unix

package smolnet

// Flags that ReadMsgUDP returns, for a datagram, and for control messages, that were cut off: Linux's, where the system has
// none of its own that package syscall knows.
const (
	msgTrunc  = 0x20
	msgCtrunc = 0x8
)
