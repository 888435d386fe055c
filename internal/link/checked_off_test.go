//go:build !race && !packetdebug

package link_test

const checked = false
