//go:build linux && !(ppc64 || ppc64le)

package serial

import "golang.org/x/sys/unix"

// The requests for attributes with any speed.
const (
	getTermios = unix.TCGETS2
	setTermios = unix.TCSETS2
)
