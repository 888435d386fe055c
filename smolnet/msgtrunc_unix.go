//go:build unix

package smolnet

import "syscall"

// msgTrunc is the flag that ReadMsgUDP returns for a datagram that was cut off.
const msgTrunc = syscall.MSG_TRUNC
