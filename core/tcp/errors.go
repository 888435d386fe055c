package tcp

import "errors"

// Why a connection, or a call on it, failed. The errors of core/ip are used as well: ip.ErrConnectionRefused,
// ip.ErrHostUnreachable and the like.
var (
	// ErrReset: the peer reset the connection.
	ErrReset = errors.New("connection reset by peer")
	// ErrTimeout: the peer stopped answering.
	ErrTimeout = errors.New("connection timed out")
	// ErrAborted: this side ended the connection without waiting for the peer (Abort, or the stack was closed).
	ErrAborted = errors.New("connection aborted")
	// ErrForwarderClosed: the forwarder was closed before the request had become a connection.
	ErrForwarderClosed = errors.New("forwarder is closed")
	// ErrWriteClosed: data was to be sent after CloseWrite, or to a peer that has reset a connection whose sending side it
	// had closed already.
	ErrWriteClosed = errors.New("broken pipe")
	// ErrTooManyConnections: Limits.Connections would be exceeded.
	ErrTooManyConnections = errors.New("too many connections")
	// ErrTooManyListeners: Limits.Listeners would be exceeded.
	ErrTooManyListeners = errors.New("too many listeners")
	// ErrNoPorts: every ephemeral port is in use towards this destination.
	ErrNoPorts = errors.New("no ephemeral port is free")
)
