package lowpan

import "time"

// completed is the datagrams that became whole last. A sender that has not heard an acknowledgment repeats the frame, and such a
// fragment would otherwise begin a datagram that never becomes whole, for each time that this happens.
type completed struct {
	keys [16]struct {
		Key
		until int64
	}
	next int
}

// repeats is how long fragments of a datagram that is whole may come again: senders repeat a frame within some hundredths of a
// second, or some tenths where they wait for a node to wake up. None uses a tag again so soon.
const repeats = time.Second

func (c *completed) has(now int64, key *Key) bool {
	for i := range c.keys {
		if k := &c.keys[i]; k.Tag == key.Tag && k.until > now && k.Key == *key {
			return true
		}
	}
	return false
}

func (c *completed) add(now int64, key *Key) {
	k := &c.keys[c.next]
	k.Key, k.until = *key, now+int64(repeats)
	c.next = (c.next + 1) % len(c.keys)
}
