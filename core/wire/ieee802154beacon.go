package wire

import "encoding/binary"

// IEEE802154BeaconPayload is what a beacon of 2003's or 2006's edition carries: how the superframe is divided, whose guaranteed
// time slots are in it, for whom the coordinator has something, and a payload of its owner's. Beacons of 2015's edition carry
// information elements instead. Made by ParseIEEE802154Beacon, none of its methods panics.
type IEEE802154BeaconPayload []byte

const (
	beaconSuperframeLen = 2
	beaconGTSLen        = 3 // of a guaranteed time slot's description
	beaconCount         = 0b111
)

// ParseIEEE802154Beacon takes b, what a beacon carries, for what it should be. The error is ErrTruncated if b ends before the last
// pending address does.
func ParseIEEE802154Beacon(b []byte) (IEEE802154BeaconPayload, error) {
	p := IEEE802154BeaconPayload(b)
	if len(b) <= beaconSuperframeLen || len(b) <= p.pendingOffset() || len(b) < p.payloadOffset() {
		return nil, ErrTruncated
	}
	return p, nil
}

// superframe is the superframe specification.
func (p IEEE802154BeaconPayload) superframe() uint16 { return binary.LittleEndian.Uint16(p) }

// BeaconOrder says how often beacons come: every 15.36 ms (at 250 kbit/s) times two to its power; 15: only when asked for.
func (p IEEE802154BeaconPayload) BeaconOrder() uint8 { return uint8(p.superframe() & 0xf) }

// SuperframeOrder says, likewise, how long the coordinator listens after a beacon. 15: it does not stop.
func (p IEEE802154BeaconPayload) SuperframeOrder() uint8 { return uint8(p.superframe() >> 4 & 0xf) }

// FinalCAPSlot is the last of the 16 slots that anyone may send in.
func (p IEEE802154BeaconPayload) FinalCAPSlot() uint8 { return uint8(p.superframe() >> 8 & 0xf) }

// BatteryLifeExtension reports whether the coordinator listens for a short while only.
func (p IEEE802154BeaconPayload) BatteryLifeExtension() bool { return p.superframe()&(1<<12) != 0 }

// PANCoordinator reports whether the sender is the coordinator of the whole PAN.
func (p IEEE802154BeaconPayload) PANCoordinator() bool { return p.superframe()&(1<<14) != 0 }

// AssociationPermit reports whether the coordinator takes new devices.
func (p IEEE802154BeaconPayload) AssociationPermit() bool { return p.superframe()&(1<<15) != 0 }

// GTSPermit reports whether the coordinator gives out guaranteed time slots.
func (p IEEE802154BeaconPayload) GTSPermit() bool { return p[beaconSuperframeLen]>>7 != 0 }

// GTSCount is the number of guaranteed time slots that are listed: 7 at most.
func (p IEEE802154BeaconPayload) GTSCount() int { return int(p[beaconSuperframeLen] & beaconCount) }

// IEEE802154GTS is a guaranteed time slot.
type IEEE802154GTS struct {
	Device  LinkAddr // whose it is: a short address
	Start   uint8    // the first of the slots it takes, 0 to 15
	Length  uint8    // how many slots it takes, 0 to 15
	Receive bool     // the device receives in it, or else transmits
}

// GTS is the guaranteed time slot with the index i, from 0 to GTSCount less one. Of any other index it is zero.
func (p IEEE802154BeaconPayload) GTS(i int) (slot IEEE802154GTS) {
	if i < 0 || i >= p.GTSCount() {
		return slot
	}
	directions := p[beaconSuperframeLen+1]
	b := p[beaconSuperframeLen+2+i*beaconGTSLen:]
	return IEEE802154GTS{
		Device:  linkAddrFromAir(b[:ShortAddrLen]),
		Start:   b[ShortAddrLen] & 0xf,
		Length:  b[ShortAddrLen] >> 4,
		Receive: directions>>i&1 != 0,
	}
}

// pendingOffset is where the pending addresses' specification lies.
func (p IEEE802154BeaconPayload) pendingOffset() int {
	n := beaconSuperframeLen + 1
	if slots := p.GTSCount(); slots > 0 {
		n += 1 + slots*beaconGTSLen
	}
	return n
}

// PendingCount is the number of devices that the coordinator has something for: 14 at most.
func (p IEEE802154BeaconPayload) PendingCount() int {
	short, extended := p.pendingCounts()
	return short + extended
}

func (p IEEE802154BeaconPayload) pendingCounts() (short, extended int) {
	counts := p[p.pendingOffset()]
	return int(counts & beaconCount), int(counts >> 4 & beaconCount)
}

// Pending is the address of the device with the index i, from 0 to PendingCount less one, that the coordinator has something for.
// Of any other index it is zero.
func (p IEEE802154BeaconPayload) Pending(i int) LinkAddr {
	short, extended := p.pendingCounts()
	b := p[p.pendingOffset()+1:]
	switch {
	case i < 0 || i >= short+extended:
		return LinkAddr{}
	case i < short:
		return linkAddrFromAir(b[i*ShortAddrLen:][:ShortAddrLen])
	}
	return linkAddrFromAir(b[short*ShortAddrLen+(i-short)*ExtendedAddrLen:][:ExtendedAddrLen])
}

// payloadOffset is where the payload begins.
func (p IEEE802154BeaconPayload) payloadOffset() int {
	short, extended := p.pendingCounts()
	return p.pendingOffset() + 1 + short*ShortAddrLen + extended*ExtendedAddrLen
}

// Payload is what the beacon's owner put behind all that. It shares p's octets.
func (p IEEE802154BeaconPayload) Payload() []byte { return p[p.payloadOffset():] }

// String prints what the beacon says.
func (p IEEE802154BeaconPayload) String() string { return string(appendIEEE802154Beacon(nil, p)) }
