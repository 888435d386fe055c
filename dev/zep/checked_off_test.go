//go:build !race && !packetdebug

package zep_test

const checked = false
