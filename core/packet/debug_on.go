//go:build packetdebug

package packet

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// live maps every packet and every chunk in somebody's hands to the call that took it from the pool.
var live struct {
	sync.Mutex
	packets map[*Packet]string
	chunks  map[*Chunk]string
}

func debugGet(p *Packet) {
	live.Lock()
	defer live.Unlock()
	if live.packets == nil {
		live.packets = make(map[*Packet]string)
	}
	live.packets[p] = string(debug.Stack())
}

func debugPut(p *Packet) {
	live.Lock()
	defer live.Unlock()
	if _, ok := live.packets[p]; !ok {
		panic(fmt.Sprintf("packet: %p released twice", p))
	}
	delete(live.packets, p)
}

func debugNewChunk(c *Chunk) {
	live.Lock()
	defer live.Unlock()
	if live.chunks == nil {
		live.chunks = make(map[*Chunk]string)
	}
	live.chunks[c] = string(debug.Stack())
}

func debugDropChunk(c *Chunk) {
	live.Lock()
	defer live.Unlock()
	delete(live.chunks, c)
}

// Live returns the stack traces of the calls that took the packets, and made the chunks, not yet released.
func Live() []string {
	live.Lock()
	defer live.Unlock()
	var traces []string
	for _, trace := range live.packets {
		traces = append(traces, trace)
	}
	for _, trace := range live.chunks {
		traces = append(traces, trace)
	}
	return traces
}
