//go:build packetdebug

package lowpan

import "github.com/smolnet/smolnet/core/packet"

// live is how many packets are in somebody's hands.
func live() int { return len(packet.Live()) }
