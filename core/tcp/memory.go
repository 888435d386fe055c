package tcp

// memory is what all of a host's connections hold of octets written, received and not yet read, and out of order. Its bound
// keeps the sum in hand, whatever each connection's buffers would allow:
//
//   - Above three quarters of it buffers grow no more.
//   - Above the whole the right edges of windows freeze, none moves left; what was offered is still taken when it arrives in order,
//     but nothing more is kept out of order. And writers get no more room.
//   - A connection that holds nothing unread may always offer a segment, and one that has nothing to be acknowledged may always
//     write one: each goes on, however slowly, and so nothing waits for anything that waits for it.
type memory struct {
	used, limit int64
}

func (m *memory) pressed() bool { return m.used > m.limit/4*3 }

func (m *memory) full() bool { return m.used >= m.limit }

// charge brings what the connection is charged for up to date.
func (c *Conn) charge() {
	holds := int64(c.sndQ.Len()) + int64(max(c.rcvUnread, 0))
	if c.rcvOoo != nil {
		holds += int64(c.rcvOoo.Octets())
	}
	c.host.memory.used += holds - int64(c.charged)
	c.charged = uint32(holds)
}

// sendRoom is how much may be written now.
func (c *Conn) sendRoom() int {
	queued := c.sndQ.Len()
	if c.host.memory.full() {
		if queued > 0 {
			return 0
		}
		return min(int(c.sndBuffer), int(c.sndMSS))
	}
	return int(c.sndBuffer) - queued
}
