//go:build linux && (ppc64 || ppc64le)

package serial

import "golang.org/x/sys/unix"

// The requests for attributes with any speed. Here all are.
const (
	getTermios = unix.TCGETS
	setTermios = unix.TCSETS
)
