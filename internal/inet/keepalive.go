package inet

import (
	"net"
	"time"
)

// KeepAlive is what net.Dialer and net.ListenConfig make of their two fields: the configuration if it is enabled, and else
// the period, whose zero value is the default and whose negative values switch keep-alive off.
func KeepAlive(config net.KeepAliveConfig, period time.Duration) net.KeepAliveConfig {
	if !config.Enable && period >= 0 {
		return net.KeepAliveConfig{Enable: true, Idle: period}
	}
	return config
}
