//go:build race || packetdebug

package fault_test

const checked = true
