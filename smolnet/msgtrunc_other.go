//go:build !unix

package smolnet

// msgTrunc is the flag that ReadMsgUDP returns for a datagram that was cut off: Linux's, where the system has none
// of its own that package syscall knows.
const msgTrunc = 0x20
