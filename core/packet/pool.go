package packet

import (
	"fmt"
	"sync"
)

// MaxSize is the largest buffer, in octets: an IP packet of 65,535 with Headroom and a link header.
const MaxSize = 72 << 10

// classes are the sizes of buffers, in octets: headers alone, a 1500-octet frame, a jumbo frame, a chunk of a bulk
// transfer, and the largest packet. Each is a size that Go's allocator hands out without waste.
var classes = [...]int{256, 2304, 16 << 10, 64 << 10, MaxSize}

// frameClass is the class of ordinary frames.
const frameClass = 1

// Two pools a class: chunks alone, and packets together with the chunk that holds their contained octets.
var (
	chunkPools  [len(classes)]sync.Pool
	packetPools [len(classes)]sync.Pool
)

func classFor(size int) uint8 {
	for class, limit := range classes {
		if size <= limit {
			return uint8(class)
		}
	}
	panic(fmt.Sprintf("packet: %d octets asked for, the largest buffer has %d", size, MaxSize))
}

func newChunk(class uint8) *Chunk {
	c, ok := chunkPools[class].Get().(*Chunk)
	if !ok {
		c = &Chunk{class: class, data: make([]byte, classes[class])}
	}
	c.refs.Store(1)
	return c
}

func get(class uint8) *Packet {
	p, ok := packetPools[class].Get().(*Packet)
	if !ok {
		p = &Packet{head: newChunk(class), off: Headroom, end: Headroom}
	}
	debugGet(p)
	return p
}

func put(p *Packet) {
	debugPut(p)
	packetPools[p.head.class].Put(p)
}
