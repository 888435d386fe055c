//go:build !race && !packetdebug

package rawsock_test

const checked = false
