// Package tcp is the Transmission Control Protocol of RFC 9293, as a set of state machines without a clock, a lock or a
// goroutine of their own.
//
// A [Host] is the TCP of one stack: it finds for each arriving segment the one it belongs to. That is a [Conn], a
// connection; a half-open record in a [Listener]'s SYN queue; or what remains of a connection in TIME-WAIT. What a
// connection has to send it does not push: it stands in line at its link, and the network layer asks it for a segment at
// a time ([Conn.Emit]).
//
// A [Listener] takes connections to a port of the stack's own; several share one by ListenConfig.ReusePort (reuseport.go). A
// [Forwarder] takes those to any address and port, and holds each as a [Request] until its user has decided on it (forwarder.go,
// request.go).
//
// The files follow what a connection does: open.go begins one, receive.go takes segments in, deliver.go puts their payload in
// order, ack.go learns from acknowledgments, send.go makes segments, timers.go acts when nothing happens, close.go ends it.
//
// What is on its way is a flight (flight.go), which a connection has only while something is: the scoreboard of what was sent
// (sent.go), what selective acknowledgments say of it (sack.go), which of it is lost (rack.go, tailprobe.go), and the repair
// (recovery.go), during which prr.go paces what leaves, and frto.go and undo.go find out whether there was anything to repair. How
// much may be in flight package congestion says, by samples of rate.go; pacer.go when it leaves; validation.go what of that was
// ever used.
//
// How much may be kept is said by autotune.go for a connection, and by memory.go for all. pathmtu.go and plpmtud.go find the size
// of segments; ecn.go and timestamps.go keep what these options have in mind; syncookies.go and fastopen.go are two ways
// to open a connection with less, or more, than a handshake.
//
// Options is what a user may choose, Info what there is to know of a connection, and change.go what can be changed later. [Limits]
// bound all of it.
//
// Times inside are nanoseconds since the stack's epoch; methods for the connection's user take a time.Time.
package tcp
