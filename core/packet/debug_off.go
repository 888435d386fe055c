//go:build !packetdebug

package packet

func debugGet(*Packet)      {}
func debugPut(*Packet)      {}
func debugNewChunk(*Chunk)  {}
func debugDropChunk(*Chunk) {}
