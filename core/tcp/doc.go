// Package tcp is the Transmission Control Protocol of RFC 9293, as a set of state machines without a clock, a lock or a
// goroutine of their own.
//
// A [Host] is the TCP of one stack: it finds for each arriving segment the one it belongs to. That is a [Conn], a
// connection; a half-open record in a [Listener]'s SYN queue; or what remains of a connection in TIME-WAIT. What a
// connection has to send it does not push: it stands in line at its link, and the network layer asks it for a segment at
// a time ([Conn.Emit]).
//
// The files follow what a connection does: open.go begins one, receive.go takes segments in, deliver.go puts their payload in
// order, ack.go learns from acknowledgments, send.go makes segments, timers.go acts when nothing happens, close.go ends it.
//
// Times inside are nanoseconds since the stack's epoch; methods for the connection's user take a time.Time.
package tcp
