// Package packet holds the buffers that everything in smolnet hands around: packets, owned by one holder at a
// time, and the reference-counted chunks that their payload may live in.
//
// Both come from process-wide pools, may be released from any goroutine and belong to no stack: what one stack
// sends over an in-memory link is received, kept and released by another.
//
// A build with the tag packetdebug records who holds what: releasing twice panics, and Live tells what leaked.
package packet

import (
	"fmt"
	"net/netip"
)

// Headroom is the space, in octets, that New leaves before a packet's first octet, so that each layer prepends its
// header in place: Ethernet (14), IPv6 with room for extension headers (40+14), TCP with all options (60).
const Headroom = 128

// Packet is one packet on its way up or down: contained octets, then up to two pieces of payload that it only
// references. The contained octets are the holder's to change; referenced ones are read-only until Own.
//
// A Packet has one owner, who hands it on or calls Release, exactly once. It is not safe for concurrent use.
type Packet struct {
	// Next links packets into whatever list their owner keeps. It is nil while a packet changes hands.
	Next *Packet

	head     *Chunk // holds the contained octets, head.data[off:end]; never shared
	off, end int
	ext      [2]piece

	// IP is what the network layer knows of the packet: read from the header on the way up, and what the header is
	// made from on the way down.
	IP IPInfo

	// Seq is its owner's: TCP keeps the sequence number of the first octet here.
	Seq uint32

	// SegmentSize is not zero for a super-segment: TCP payload that is to leave, or came, as segments of so many
	// payload octets each, the last perhaps shorter.
	SegmentSize uint16

	// Checksum says what is known of the transport checksum.
	Checksum ChecksumState

	checksumField uint8 // where in the transport header the checksum is
	transport     int   // where the transport header begins, in head.data
}

// IPInfo is what an IP header says. Addresses carry no zone; Link names the interface instead.
type IPInfo struct {
	Src, Dst     netip.Addr
	Link         int32 // the interface's index: where the packet came from, or must leave by (0: any)
	Protocol     uint8 // the transport's protocol number
	HopLimit     uint8 // IPv4's TTL
	TrafficClass uint8 // IPv4's TOS
	Loop         bool  // if it leaves for a group, a copy comes back to whoever in the stack itself belongs to that
	Group        bool  // came to a broadcast or multicast address of the IP or link layer
	Forwarded    bool  // is on its way through the stack to somebody else, and keeps its network headers
	Whole        bool  // on the way down: begins with its own IP header or, if Dst is not valid, with its link header
	Foreign      bool  // came to an address that is not the stack's own, or leaves from one, by no other interface than Link

	Fragmentation Fragmentation // of a packet on its way down
}

// Fragmentation says who may cut a packet that is larger than what it has to pass through carries.
type Fragmentation uint8

const (
	// FragmentAtSource: the stack cuts it to what the path to the destination is known to carry. Routers may not, and so
	// let the stack know what that is.
	FragmentAtSource Fragmentation = iota
	// FragmentAnywhere: the stack cuts it to what the link carries, and routers of IPv4 to what the next one does.
	FragmentAnywhere
	// DontFragment: nobody. The stack refuses it if the link does not carry it; what routers say is for who has sent it.
	DontFragment
)

// ChecksumState says what is known of a packet's transport checksum.
type ChecksumState uint8

const (
	// ChecksumFull: the field holds the whole checksum; who receives the packet must verify it.
	ChecksumFull ChecksumState = iota
	// ChecksumPartial: the field holds the folded sum of the pseudo-header only. The device completes it over
	// the octets from the transport header on; a stack that receives such a packet knows that it never left memory.
	ChecksumPartial
	// ChecksumVerified: the device has verified it, and whoever receives the packet need not.
	ChecksumVerified
	// ChecksumAssembled: as ChecksumFull, in a packet that was put together from fragments. Who receives it must verify it
	// even where the device vouches for all checksums, because no device has seen the whole.
	ChecksumAssembled
)

// piece is payload that a packet references.
type piece struct {
	chunk *Chunk
	data  []byte
}

// New returns an empty packet from the pool with room for size octets after the Headroom before them. It panics
// if size exceeds MaxSize.
func New(size int) *Packet {
	return get(classFor(Headroom + size))
}

// Release gives the packet, its buffer and its references back. The packet must not be used again.
func (p *Packet) Release() {
	p.dropPieces(0)
	p.Next = nil
	p.IP = IPInfo{}
	p.SegmentSize = 0
	p.Checksum = ChecksumFull
	p.off, p.end = Headroom, Headroom
	put(p)
}

// Len is the number of octets in the packet, referenced ones included.
func (p *Packet) Len() int {
	return p.end - p.off + len(p.ext[0].data) + len(p.ext[1].data)
}

// Head returns the contained octets: all of the packet, or its front if there are referenced pieces. Devices and the
// stack keep every header here.
func (p *Packet) Head() []byte { return p.head.data[p.off:p.end] }

// Pieces returns the packet's octets, in order: the contained ones and two referenced pieces, either or both empty.
func (p *Packet) Pieces() [3][]byte {
	return [3][]byte{p.Head(), p.ext[0].data, p.ext[1].data}
}

// Header returns the first n octets as one slice to read or change, or nil if the packet is shorter. It copies the
// packet together only if a header straddles its pieces, which no device of ours lets happen.
func (p *Packet) Header(n int) []byte {
	if p.end-p.off < n {
		if p.Len() < n {
			return nil
		}
		p.Own()
	}
	return p.head.data[p.off : p.off+n]
}

// Prepend grows the packet by n octets at the front and returns them, to be filled. It panics beyond the headroom:
// headers are bounded by what the stack can build.
func (p *Packet) Prepend(n int) []byte {
	if n > p.off {
		panic(fmt.Sprintf("packet: no headroom for %d octets, %d left", n, p.off))
	}
	p.off -= n
	return p.head.data[p.off : p.off+n]
}

// Append grows the contained part by n octets at the back and returns them, to be filled; nil if the buffer has no room
// or the packet has referenced pieces.
func (p *Packet) Append(n int) []byte {
	if p.ext[0].chunk != nil || len(p.head.data)-p.end < n {
		return nil
	}
	p.end += n
	return p.head.data[p.end-n : p.end]
}

// Tailroom is how many octets Append can add.
func (p *Packet) Tailroom() int {
	if p.ext[0].chunk != nil {
		return 0
	}
	return len(p.head.data) - p.end
}

// Reference appends data, which lies in chunk, without copying it, and takes a reference to chunk. It reports
// false, having done nothing, if the packet references two pieces already.
func (p *Packet) Reference(chunk *Chunk, data []byte) bool {
	for i := range p.ext {
		if p.ext[i].chunk == nil {
			chunk.Retain()
			p.ext[i] = piece{chunk, data}
			return true
		}
	}
	return false
}

// TrimFront removes the first n octets, as a layer that has read its header does. It panics if there are fewer.
func (p *Packet) TrimFront(n int) {
	contained := min(n, p.end-p.off)
	p.off += contained
	n -= contained
	for n > 0 {
		first := &p.ext[0]
		if first.chunk == nil {
			panic("packet: trimmed beyond the end")
		}
		cut := min(n, len(first.data))
		first.data = first.data[cut:]
		n -= cut
		if len(first.data) == 0 {
			first.chunk.Release()
			p.ext[0], p.ext[1] = p.ext[1], piece{}
		}
	}
}

// Truncate keeps the first n octets and drops the rest, such as an Ethernet frame's padding.
func (p *Packet) Truncate(n int) {
	if n >= p.Len() {
		return
	}
	contained := min(n, p.end-p.off)
	p.end = p.off + contained
	n -= contained
	for i := range p.ext {
		if n == 0 {
			p.dropPieces(i)
			return
		}
		p.ext[i].data = p.ext[i].data[:min(n, len(p.ext[i].data))]
		n -= len(p.ext[i].data)
	}
}

func (p *Packet) dropPieces(from int) {
	for i := from; i < len(p.ext); i++ {
		if p.ext[i].chunk != nil {
			p.ext[i].chunk.Release()
			p.ext[i] = piece{}
		}
	}
}

// CopyTo copies the packet's octets from offset on to dst and returns how many it copied.
func (p *Packet) CopyTo(dst []byte, offset int) int {
	n := 0
	if head := p.Head(); offset < len(head) {
		n, offset = copy(dst, head[offset:]), 0
	} else {
		offset -= len(head)
	}
	for i := range p.ext { // Pieces would cost as much as to copy a small packet
		piece := p.ext[i].data
		if offset >= len(piece) {
			offset -= len(piece)
			continue
		}
		n += copy(dst[n:], piece[offset:])
		offset = 0
	}
	return n
}

// Own makes every octet contained and so the holder's to change: what was referenced is copied.
func (p *Packet) Own() {
	if p.ext[0].chunk == nil {
		return
	}
	p.move(classFor(min(p.off, Headroom) + p.Len()))
}

// Compact moves the packet to a smaller buffer if it pins much more memory than it needs: a small frame in a buffer
// for the largest, or a few octets of a stream in a chunk of their own. It gains nothing on an ordinary frame, and what
// it copies is short.
func (p *Packet) Compact() {
	class := classFor(min(p.off, Headroom) + p.Len())
	if p.ext[0].chunk != nil {
		// The chunk is shared with the neighbours of these octets, and is mostly theirs.
		if class == 0 {
			p.move(class)
		}
		return
	}
	if p.head.class > frameClass && classes[class]*compactBelow <= len(p.head.data) {
		p.move(class)
	}
}

// compactBelow is what part of its buffer a packet must fit in for Compact to move it: a move from the largest
// buffers to one for a frame is worth a copy, one from 64 to 16 KiB is not.
const compactBelow = 6

// move copies all of the packet into a new buffer, with as much headroom as it has but Headroom at most.
func (p *Packet) move(class uint8) {
	length, before := p.Len(), min(p.off, Headroom)
	chunk := newChunk(class)
	p.CopyTo(chunk.data[before:], 0)
	p.dropPieces(0)
	p.head.Release()
	p.head = chunk
	p.transport -= p.off - before
	p.off, p.end = before, before+length
}

// Clone returns a copy that shares nothing with p but the pieces both reference.
func (p *Packet) Clone() *Packet {
	c := get(p.head.class)
	c.off = p.off
	c.end = p.off + copy(c.head.data[p.off:], p.Head())
	for _, e := range p.ext {
		if e.chunk != nil {
			c.Reference(e.chunk, e.data)
		}
	}
	c.IP, c.Seq, c.SegmentSize, c.Checksum = p.IP, p.Seq, p.SegmentSize, p.Checksum
	c.checksumField, c.transport = p.checksumField, p.transport
	return c
}

// Cost is the memory, in octets, that the packet is charged for: the whole of its own buffer, not only what it uses
// of it, and its part of the chunks that it references. Those it shares with the packets that hold their other
// octets: at an MTU of 1500 some forty packets lie in one chunk, and if each were charged the whole of it a receive
// buffer would be full after the first few.
func (p *Packet) Cost() int {
	return len(p.head.data) + len(p.ext[0].data) + len(p.ext[1].data)
}

// Unverified reports whether who receives the packet must verify its transport checksum. vouched says that the device delivers
// only packets whose checksum is right.
func (p *Packet) Unverified(vouched bool) bool {
	return p.Checksum == ChecksumFull && !vouched || p.Checksum == ChecksumAssembled
}

// SetPartialChecksum marks the transport checksum as the device's to complete: the transport header begins offset
// octets into the packet, and field octets into it lies the checksum, which holds the folded pseudo-header sum.
// Layers may prepend afterwards.
func (p *Packet) SetPartialChecksum(offset, field int) {
	p.Checksum = ChecksumPartial
	p.transport = p.off + offset
	p.checksumField = uint8(field)
}

// PartialChecksum returns, for a packet in the state ChecksumPartial, where the transport header begins in the packet
// as it is now, and where in that header the checksum lies.
func (p *Packet) PartialChecksum() (offset, field int) {
	return p.transport - p.off, int(p.checksumField)
}
