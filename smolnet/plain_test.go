//go:build !race && !packetdebug

package smolnet_test

// instrumented says that the program allocates for its own surveillance.
const instrumented = false
