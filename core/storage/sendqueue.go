package storage

import "github.com/smolnet/smolnet/core/packet"

// SendQueue holds the octets of a stream that were written and are not yet acknowledged, as a list of
// reference-counted chunks. Octets only arrive at the back (Reserve, Commit) and leave at the front (Discard); between,
// packets reference them in place (Attach), as often as they must be sent. The zero value is empty and ready.
//
// A SendQueue is not safe for concurrent use, but a Fill is worked on while others use the queue.
type SendQueue struct {
	// Every chunk but the last is full, so that where an octet lies follows from its offset.
	head, tail *packet.Chunk
	front      int32 // where in head the first octet is
	end        int32 // where in tail the last octet ends
	length     int32

	// Where the last Attach ended: sending looks for the octets behind those it sent before.
	cursor     *packet.Chunk
	cursorBase int32 // octets from the beginning of head to that of cursor

	resets  uint32 // tells a fill that it outlived what it was to be added to
	filling bool
}

// Len is the number of octets in the queue, without those of a fill under way.
func (q *SendQueue) Len() int { return int(q.length) }

// Reserve begins a fill of up to n octets: f gets the free room of the last chunk, and more chunks as it needs them.
// One fill may be under way at a time; it ends with Commit, even if nothing was filled.
func (q *SendQueue) Reserve(f *Fill, n int) {
	*f = Fill{room: n, queued: int(q.length), resets: q.resets}
	if q.tail != nil && int(q.end) < len(q.tail.Data()) {
		// The reference is the fill's own: a Reset may come while somebody writes into the chunk.
		q.tail.Retain()
		f.borrowed, f.at = q.tail, int(q.end)
	}
	q.filling = true
}

// Commit appends what f holds to the queue, in order, and returns how many octets that was; f is empty afterwards. If
// the queue was Reset since Reserve, what f holds is dropped.
func (q *SendQueue) Commit(f *Fill) int {
	n, at := f.length, f.at
	borrowed, first, last := f.borrowed, f.first, f.last
	if f.spare != nil {
		f.spare.Release()
	}
	stale := f.resets != q.resets
	*f = Fill{}
	if borrowed != nil {
		borrowed.Release()
	}
	if stale {
		releaseChunks(first)
		return 0
	}
	q.filling = false
	q.length += int32(n)
	if borrowed != nil {
		q.end = int32(at)
	}
	if first != nil {
		if q.tail == nil {
			q.head = first
		} else {
			q.tail.Next = first
		}
		q.tail, q.end = last, int32(at)
	}
	q.dropFront()
	return n
}

// Drop ends a fill without appending what f holds; f is empty afterwards.
func (q *SendQueue) Drop(f *Fill) {
	if f.spare != nil {
		f.spare.Release()
	}
	if f.borrowed != nil {
		f.borrowed.Release()
	}
	releaseChunks(f.first)
	if f.resets == q.resets {
		q.filling = false
		q.dropFront()
	}
	*f = Fill{}
}

// Attach references up to n octets, beginning offset octets into the queue, at the end of p, in two pieces at most, and
// returns how many octets that was. Looking for a place at or near behind that of the Attach before, or near the
// front, takes constant time.
func (q *SendQueue) Attach(p *packet.Packet, offset, n int) int {
	n = min(n, int(q.length)-offset)
	if n <= 0 {
		return 0
	}
	c, at := q.find(int(q.front) + offset)
	attached := 0
	for attached < n {
		data := c.Data()
		end := min(len(data), at+n-attached)
		if !p.Reference(c, data[at:end:end]) {
			break
		}
		attached += end - at
		c, at = c.Next, 0
	}
	return attached
}

// find returns the chunk in which the octet lies that is at octets behind the beginning of head, and where in it.
func (q *SendQueue) find(at int) (*packet.Chunk, int) {
	// A repetition of what is in front leaves the cursor where it is, near what is to be sent next.
	if at < len(q.head.Data()) {
		return q.head, at
	}
	if q.cursor == nil || at < int(q.cursorBase) {
		q.cursor, q.cursorBase = q.head, 0
	}
	for {
		size := len(q.cursor.Data())
		if at-int(q.cursorBase) < size {
			return q.cursor, at - int(q.cursorBase)
		}
		q.cursor = q.cursor.Next
		q.cursorBase += int32(size)
	}
}

// Discard removes the first n octets, which have been acknowledged, and releases the chunks that held nothing else. An
// empty queue without a fill under way holds no chunk.
func (q *SendQueue) Discard(n int) {
	n = min(n, int(q.length))
	q.front += int32(n)
	q.length -= int32(n)
	q.dropFront()
}

// dropFront releases the chunks that no octet is left in. The last one stays while a fill may be writing into it.
func (q *SendQueue) dropFront() {
	for q.head != nil {
		size := len(q.head.Data())
		if int(q.front) < size && (q.length > 0 || q.filling) {
			return
		}
		first := q.head
		q.head = first.Next
		if q.cursor == first {
			q.cursor = nil
		}
		q.cursorBase -= int32(size)
		q.front -= int32(size)
		first.Next = nil
		first.Release()
	}
	q.forget()
}

// Reset drops every octet. A fill under way may go on, and comes to nothing.
func (q *SendQueue) Reset() {
	releaseChunks(q.head)
	q.forget()
	q.length = 0
	q.filling = false
	q.resets++
}

func (q *SendQueue) forget() {
	q.head, q.tail, q.cursor = nil, nil, nil
	q.front, q.end, q.cursorBase = 0, 0, 0
}

// Fill holds octets on their way into a SendQueue. It is used by the one writer of the stream, without whatever lock
// guards the queue: what it writes nobody else looks at before Commit. The zero value has no room.
type Fill struct {
	borrowed    *packet.Chunk // the queue's last chunk, if it had room
	first, last *packet.Chunk // chunks of the fill's own, all but the last full
	spare       *packet.Chunk // one that Buffer has handed out and nothing was put in yet
	at          int           // where in last, or borrowed if there is none, the free room begins

	length int
	room   int
	queued int // octets that were in the queue at the beginning
	resets uint32
}

// Len is the number of octets filled.
func (f *Fill) Len() int { return f.length }

// Room is the number of octets that may still be filled.
func (f *Fill) Room() int { return f.room }

// Write copies b, or as much of it as there is room for, and returns how many octets that was.
func (f *Fill) Write(b []byte) int {
	b = b[:min(len(b), f.room)]
	written := 0
	for written < len(b) {
		n := copy(f.free(len(b)-written), b[written:])
		f.Advance(n)
		written += n
	}
	return written
}

// Buffer returns free space to read into, at most Room octets and empty if that is 0; Advance then says how much of
// it was filled.
func (f *Fill) Buffer() []byte { return f.free(f.room) }

// free returns free space, at most Room octets, in a chunk that suits the left octets still to come.
func (f *Fill) free(left int) []byte {
	if f.room == 0 {
		return nil
	}
	data, at := f.current()
	if at == len(data) {
		if f.spare == nil {
			f.spare = packet.NewChunk(chunkSize(left, f.queued+f.length))
		}
		data, at = f.spare.Data(), 0
	}
	end := min(len(data), at+f.room)
	return data[at:end:end]
}

// Advance says that the first n octets of what Buffer returned are filled.
func (f *Fill) Advance(n int) {
	if n == 0 {
		return
	}
	data, at := f.current()
	if at == len(data) {
		if f.spare == nil {
			panic("storage: advanced without a buffer")
		}
		if f.first == nil {
			f.first = f.spare
		} else {
			f.last.Next = f.spare
		}
		f.last, f.spare, f.at = f.spare, nil, 0
		data, at = f.last.Data(), 0
	}
	if n < 0 || n > min(f.room, len(data)-at) {
		panic("storage: advanced beyond the buffer")
	}
	f.at += n
	f.length += n
	f.room -= n
}

// current returns the chunk being filled and where its free room begins.
func (f *Fill) current() ([]byte, int) {
	switch {
	case f.last != nil:
		return f.last.Data(), f.at
	case f.borrowed != nil && f.at < len(f.borrowed.Data()):
		return f.borrowed.Data(), f.at
	}
	return nil, 0
}

// chunkSize chooses the size of the next chunk: large ones for bulk, which then leaves in few and large pieces, but
// small ones where little is written, so that many connections with little to say pin little.
func chunkSize(left, queued int) int {
	switch {
	case left > 32<<10 || queued >= 64<<10:
		return 64 << 10
	case left > 2<<10 || queued >= 8<<10:
		return 16 << 10
	}
	return 2 << 10
}

func releaseChunks(c *packet.Chunk) {
	for c != nil {
		next := c.Next
		c.Next = nil
		c.Release()
		c = next
	}
}
