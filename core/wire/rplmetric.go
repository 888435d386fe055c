package wire

import (
	"encoding/binary"
	"fmt"
)

// Types of routing metrics and constraints.
// https://www.rfc-editor.org/rfc/rfc6551.html#section-6.1
const (
	RPLMetricNodeState  = 1
	RPLMetricNodeEnergy = 2
	RPLMetricHopCount   = 3
	RPLMetricThroughput = 4
	RPLMetricLatency    = 5
	RPLMetricQuality    = 6
	RPLMetricETX        = 7
	RPLMetricColor      = 8
)

// RPLMetric is a routing metric or constraint (RFC 6551, section 2.1).
type RPLMetric struct {
	Type       uint8 // such as RPLMetricETX
	Partial    bool  // P: not every node of the path is in it
	Constraint bool  // C: else it is a metric
	Optional   bool  // O: the constraint need not be met
	Recorded   bool  // R: the body has the value of every hop, else one for the path
	// Aggregation is how values become one: 0 by adding, 1 the greatest, 2 the least, 3 by multiplying. Up to 7.
	Aggregation uint8
	Precedence  uint8  // among the metrics of a container, 0 first. Up to 15.
	Body        []byte // at most 251 octets, so that a container holds it
}

const (
	rplMetricHeaderLen = 4
	rplMaxMetricBody   = 255 - rplMetricHeaderLen

	rplMetricPartial    = 0x0400
	rplMetricConstraint = 0x0200
	rplMetricOptional   = 0x0100
	rplMetricRecorded   = 0x0080
)

// RPLETX is the metric of a path that takes etx/128 transmissions.
func RPLETX(etx uint16) RPLMetric {
	return RPLMetric{Type: RPLMetricETX, Body: binary.BigEndian.AppendUint16(nil, etx)}
}

// RPLHopCount is the metric of a path of so many hops.
func RPLHopCount(hops uint8) RPLMetric {
	return RPLMetric{Type: RPLMetricHopCount, Body: []byte{0, hops}}
}

// ETX is how many transmissions the path takes, times 128; ok is false if that is not what m says.
func (m *RPLMetric) ETX() (etx uint16, ok bool) {
	if m.Type != RPLMetricETX || m.Constraint || m.Recorded || len(m.Body) < 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(m.Body), true
}

// HopCount is how many hops the path has; ok is false if that is not what m says.
func (m *RPLMetric) HopCount() (hops uint8, ok bool) {
	if m.Type != RPLMetricHopCount || m.Constraint || len(m.Body) < 2 {
		return 0, false
	}
	return m.Body[1], true
}

// String prints the metric.
func (m *RPLMetric) String() string {
	kind := "metric"
	if m.Constraint {
		kind = "constraint"
	}
	if etx, ok := m.ETX(); ok {
		return fmt.Sprintf("%s etx %d/128", kind, etx)
	}
	if hops, ok := m.HopCount(); ok {
		return fmt.Sprintf("%s hops %d", kind, hops)
	}
	return fmt.Sprintf("%s %d: %x", kind, m.Type, m.Body)
}

// RPLMetrics are the octets of metrics, one after another. Made by ParseRPLMetrics, none of its methods panics.
type RPLMetrics []byte

// ParseRPLMetrics takes all of b for metrics. The error is ErrTruncated if one runs past b.
func ParseRPLMetrics(b []byte) (RPLMetrics, error) {
	metrics := RPLMetrics(b)
	for _, ok := metrics.Next(); ok; _, ok = metrics.Next() {
	}
	if len(metrics) > 0 {
		return nil, ErrTruncated
	}
	return b, nil
}

// Next takes the first metric off the front and returns it, or false if none is left. Its Body shares the octets.
func (o *RPLMetrics) Next() (RPLMetric, bool) {
	b := *o
	if len(b) < rplMetricHeaderLen || rplMetricHeaderLen+int(b[3]) > len(b) {
		return RPLMetric{}, false
	}
	n := rplMetricHeaderLen + int(b[3])
	flags := binary.BigEndian.Uint16(b[1:])
	*o = b[n:]
	return RPLMetric{
		Type:        b[0],
		Partial:     flags&rplMetricPartial != 0,
		Constraint:  flags&rplMetricConstraint != 0,
		Optional:    flags&rplMetricOptional != 0,
		Recorded:    flags&rplMetricRecorded != 0,
		Aggregation: uint8(flags>>4) & 7,
		Precedence:  uint8(flags) & 15,
		Body:        b[rplMetricHeaderLen:n:n],
	}, true
}

// Append adds a metric behind the others. Of a Body that is too long the end is left out.
func (o RPLMetrics) Append(m RPLMetric) RPLMetrics {
	flags := uint16(m.Aggregation&7)<<4 | uint16(m.Precedence&15)
	for _, flag := range []struct {
		set bool
		bit uint16
	}{
		{m.Partial, rplMetricPartial}, {m.Constraint, rplMetricConstraint}, {m.Optional, rplMetricOptional},
		{m.Recorded, rplMetricRecorded},
	} {
		if flag.set {
			flags |= flag.bit
		}
	}
	body := m.Body[:min(len(m.Body), rplMaxMetricBody)]
	return append(append(o, m.Type, uint8(flags>>8), uint8(flags), uint8(len(body))), body...)
}

// RPLMetricContainerRepr holds the metrics of the path to the root (RFC 6550, section 6.7.4, and RFC 6551).
type RPLMetricContainerRepr struct {
	// Metrics are at most 255 octets; more are not emitted.
	Metrics RPLMetrics
}

// Parse sets r to what o says; Metrics shares o's octets.
func (r *RPLMetricContainerRepr) Parse(o RPLOption) error {
	d := o.data(RPLOptionMetricContainer, 0)
	if d == nil {
		return ErrOption
	}
	metrics, err := ParseRPLMetrics(d)
	if err != nil {
		return ErrOption
	}
	*r = RPLMetricContainerRepr{Metrics: metrics}
	return nil
}

// fitting are the metrics, from the first on, that have room in an option.
func (r *RPLMetricContainerRepr) fitting() RPLMetrics {
	rest := r.Metrics
	n := 0
	for m, ok := rest.Next(); ok && n+rplMetricHeaderLen+len(m.Body) <= 255; m, ok = rest.Next() {
		n += rplMetricHeaderLen + len(m.Body)
	}
	return r.Metrics[:n]
}

// Len is the number of octets that Emit writes.
func (r *RPLMetricContainerRepr) Len() int { return rplOptionHeaderLen + len(r.fitting()) }

// Emit writes the option to the front of b. It panics if b is shorter than Len.
func (r *RPLMetricContainerRepr) Emit(b []byte) {
	b = b[:r.Len()]
	putRPLOptionHeader(b, RPLOptionMetricContainer)
	copy(b[rplOptionHeaderLen:], r.Metrics)
}

// String prints the option.
func (r *RPLMetricContainerRepr) String() string {
	s := "metrics ("
	rest := r.Metrics
	for i := 0; ; i++ {
		m, ok := rest.Next()
		if !ok {
			return s + ")"
		}
		if i > 0 {
			s += ", "
		}
		s += m.String()
	}
}
