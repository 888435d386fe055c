package core

import (
	"context"
	"log/slog"

	"github.com/smolnet/smolnet/core/packet"
	"github.com/smolnet/smolnet/core/tcp"
	"github.com/smolnet/smolnet/core/udp"
)

// LevelTrace is the level of normal events: packets delivered and sent, neighbours resolved, connections opened and
// closed. It is below slog.LevelDebug, at which the stack tells of what is malformed or exceptional.
const LevelTrace = slog.LevelDebug - 4

// log is where the stack tells what happens. Whether anybody listens is asked once for each entry into the stack, so
// that a program may change the level while it runs and a packet still costs one test of a bool.
type log struct {
	logger       *slog.Logger
	trace, debug bool
}

func (l *log) refresh() {
	if l.logger == nil {
		return
	}
	ctx := context.Background()
	l.trace = l.logger.Enabled(ctx, LevelTrace)
	l.debug = l.trace || l.logger.Enabled(ctx, slog.LevelDebug)
}

// dropped tells of a packet that the stack could not use or not send. The caller has tested l.debug.
func (l *log) dropped(link *Interface, cause DropCause, p *packet.Packet) {
	l.lost(link, "packet dropped", cause.String(), p)
}

// lost tells of a packet, a segment or a datagram, as message has it; link is nil if no interface is known.
func (l *log) lost(link *Interface, message, cause string, p *packet.Packet) {
	name := ""
	if link != nil {
		name = link.name
	}
	l.logger.LogAttrs(context.Background(), slog.LevelDebug, message,
		slog.String("interface", name), slog.String("cause", cause), packetAttr(p))
}

// passed tells of a packet on its way. The caller has tested l.trace.
func (l *log) passed(link *Interface, message string, p *packet.Packet) {
	l.logger.LogAttrs(context.Background(), LevelTrace, message, slog.String("interface", link.name), packetAttr(p))
}

// listen has the transports tell what they drop and what becomes of connections, if there is anybody to be told at all.
func (s *Stack) listen(t *tcp.Config, u *udp.Config) {
	if s.log.logger == nil {
		return
	}
	t.Dropped = func(p *packet.Packet, cause string) {
		if s.log.debug {
			s.log.lost(s.Interface(p.IP.Link), "segment dropped", cause, p)
		}
	}
	t.Event = func(c *tcp.Conn, what string) {
		if s.log.trace {
			s.log.connection(c, what)
		}
	}
	u.Dropped = func(p *packet.Packet, cause string) {
		if s.log.debug {
			s.log.lost(s.Interface(p.IP.Link), "datagram dropped", cause, p)
		}
	}
}

// connection tells what has become of a connection. The caller has tested l.trace.
func (l *log) connection(c *tcp.Conn, what string) {
	var cause slog.Attr // empty: left out
	if err := c.Err(); err != nil {
		cause = slog.String("cause", err.Error())
	}
	l.logger.LogAttrs(context.Background(), LevelTrace, "connection "+what,
		slog.String("local", c.LocalAddr().String()), slog.String("remote", c.RemoteAddr().String()), cause)
}

func packetAttr(p *packet.Packet) slog.Attr {
	if !p.IP.Src.IsValid() {
		return slog.Group("packet", slog.Int("length", p.Len()))
	}
	return slog.Group("packet",
		slog.String("source", p.IP.Src.String()), slog.String("destination", p.IP.Dst.String()),
		slog.Int("protocol", int(p.IP.Protocol)), slog.Int("length", p.Len()))
}
