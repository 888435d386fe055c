//go:build race || packetdebug

package radio_test

const checked = true
