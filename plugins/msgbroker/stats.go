// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"maps"
	"slices"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
)

// brokerStats are those of the connection, or of the one that was closed last.
func (s *sink) brokerStats() (st broker.Stats, protoLib string) {
	s.mu.Lock()
	conn, st, protoLib := s.conn, s.last, s.set.protoLib
	s.mu.Unlock()
	if conn != nil {
		return conn.Stats(), protoLib
	}
	st.State = broker.StateClosed
	return st, protoLib
}

// stateName is the property state.
func (s *sink) stateName() string {
	st, _ := s.brokerStats()
	return st.State.String()
}

// stats is the property stats.
func (s *sink) stats() gst.Structure {
	st, protoLib := s.brokerStats()
	out := gst.Structure{Name: "application/x-msgbroker-stats"}
	addStats(&out, st, protoLib)
	s.mu.Lock()
	told := s.told
	s.mu.Unlock()
	if all, some := told.consumers(); some {
		out.Add("consumers", all)
	}
	return out
}

// addStats appends what is told of a connection.
func addStats(out *gst.Structure, st broker.Stats, protoLib string) {
	out.Add("accepted", st.Accepted)
	out.Add("recovered", st.Recovered)
	out.Add("unwritten", st.Unwritten)
	out.Add("queued", st.Queued)
	out.Add("in-flight", st.InFlight)
	out.Add("sent", st.Sent)
	out.Add("acknowledged", st.Acknowledged)
	out.Add("failed", st.Failed)
	out.Add("dropped", st.Dropped)
	for _, why := range slices.Sorted(maps.Keys(st.DroppedBy)) {
		out.Add("dropped-"+why, st.DroppedBy[why])
	}
	out.Add("retried", st.Retried)
	out.Add("reconnects", st.Reconnects)
	out.Add("sessions", st.Sessions)
	out.Add("bytes", st.Bytes)
	out.Add("spooled", st.Spooled)
	out.Add("spooled-bytes", st.SpooledBytes)
	age := time.Duration(0)
	if !st.SpooledOldest.IsZero() {
		age = max(time.Since(st.SpooledOldest), 0)
	}
	out.Add("spooled-age", uint64(age.Milliseconds()))
	out.Add("spool-errors", st.SpoolErrors)
	out.Add("unspooled", st.Unspooled)
	out.Add("round-trip-p50", uint64(st.RoundTrip50.Microseconds()))
	out.Add("round-trip-p90", uint64(st.RoundTrip90.Microseconds()))
	out.Add("round-trip-p99", uint64(st.RoundTrip99.Microseconds()))
	brokerside.AddReceiving(out, st)
	brokerside.AddConnection(out, st, protoLib)
}

// postStats posts the stats as an element message, at EOS and at stop.
func (s *sink) postStats() {
	st := s.stats()
	st.Name = "msgbroker-stats"
	s.PostMessage(st)
}
