package smolnet_test

import (
	"github.com/smolnet/smolnet/dev"
	"github.com/smolnet/smolnet/dev/pipe"
)

// offloading is a link that does all that a device can do.
var offloading = pipe.Config{
	Medium:      dev.IP,
	Checksum:    dev.Checksums{UDP: dev.ChecksumTx, TCP: dev.ChecksumTx},
	SegmentTCP4: true,
	SegmentTCP6: true,
}
