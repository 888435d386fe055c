//go:build unix

package smolnet

import "syscall"

// Flags that ReadMsgUDP returns: for a datagram, and for control messages, that were cut off.
const (
	msgTrunc  = syscall.MSG_TRUNC
	msgCtrunc = syscall.MSG_CTRUNC
)
