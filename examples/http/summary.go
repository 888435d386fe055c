package main

import (
	"fmt"
	"io"
	"time"

	"github.com/smolnet/smolnet/core/tcp"
)

// traffic is what a stack's core has counted of TCP.
type traffic struct {
	octetsOut, octetsIn     uint64 // payload
	segmentsOut, segmentsIn uint64
	retransmitted           uint64 // of the segments out
	roundTrip               time.Duration
}

func trafficSince(before, after tcp.Counters) traffic {
	retransmitted := after.RetransSegs - before.RetransSegs
	return traffic{
		octetsOut:     after.OutOctets - before.OutOctets,
		octetsIn:      after.InOctets - before.InOctets,
		segmentsOut:   after.OutSegs - before.OutSegs + retransmitted,
		segmentsIn:    after.InSegs - before.InSegs,
		retransmitted: retransmitted,
		roundTrip:     after.RTT.Smoothed,
	}
}

// summary is a table with a line for each exchange, and their sum.
type summary struct {
	counted string // who has
	rows    []row
	total   row
}

type row struct {
	server, client string
	requests       int
	traffic        traffic
	octets         uint64 // the way that the files went
	elapsed        time.Duration
}

func (s *summary) add(e *exchange) {
	r := row{
		server:   e.server.name + " " + e.address.String(),
		client:   e.client.name,
		requests: e.requests,
		traffic:  e.traffic,
		octets:   max(e.traffic.octetsOut, e.traffic.octetsIn),
		elapsed:  e.elapsed,
	}
	s.rows = append(s.rows, r)
	s.total.server = "all"
	s.total.requests += r.requests
	s.total.traffic.octetsOut += r.traffic.octetsOut
	s.total.traffic.octetsIn += r.traffic.octetsIn
	s.total.traffic.segmentsOut += r.traffic.segmentsOut
	s.total.traffic.segmentsIn += r.traffic.segmentsIn
	s.total.traffic.retransmitted += r.traffic.retransmitted
	s.total.traffic.roundTrip = r.traffic.roundTrip // a moving average as it is
	s.total.octets += r.octets
	s.total.elapsed += r.elapsed
}

// write says what the stack has seen: of two stacks, the one that served.
func (s *summary) write(out io.Writer) error {
	fmt.Fprintf(out, "\nTCP as %s has counted it:\n%-24s %-8s %8s %9s %9s %9s %9s %6s %10s %7s\n",
		s.counted, "server", "client", "requests", "MB out", "MB in", "segs out", "segs in", "again", "round trip", "Mbit/s")
	for _, r := range append(s.rows, s.total) {
		t := r.traffic
		fmt.Fprintf(out, "%-24s %-8s %8d %9.2f %9.2f %9d %9d %6d %10v %7.0f\n",
			r.server, r.client, r.requests, float64(t.octetsOut)/1e6, float64(t.octetsIn)/1e6, t.segmentsOut, t.segmentsIn,
			t.retransmitted, t.roundTrip.Round(time.Microsecond), float64(r.octets)*8/1e6/r.elapsed.Seconds())
	}
	_, err := fmt.Fprint(out, "\nevery file came with the SHA-256 that it has on disk\n")
	return err
}
