//go:build !race && !packetdebug

package tuntap_test

const checked = false
