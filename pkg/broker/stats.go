// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"slices"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
)

// The reasons for which messages are dropped, as Stats.DroppedBy names them.
const (
	dropFull    = "full"    // refused, since queue and spool were full
	dropOldest  = "oldest"  // gave way to newer ones
	dropExpired = "expired" // too long in the spool
	dropDamaged = "damaged" // unreadable in the spool
	dropStopped = "stopped" // left at the end, and not spooled
	dropRefused = "refused" // no topic, too large, damaged headers, or the connection is closed
)

type counters struct {
	accepted, recovered, sent, acknowledged, failed, dropped, bytes uint64
	reconnects, sessions, retried                                   uint64
	droppedBy                                                       map[string]uint64
	lastError                                                       string
	lastErrorTime                                                   time.Time
	left                                                            spool.Stats // of the spool that is closed
}

func (c *counters) drop(why string, n uint64) {
	if n == 0 {
		return
	}
	if c.droppedBy == nil {
		c.droppedBy = map[string]uint64{}
	}
	c.droppedBy[why] += n
	c.dropped += n
}

// Stats are the counts of a connection since Connect; those of a shared one are of all its users together.
// Of what was accepted or recovered nothing is missing: the sum is Acknowledged + Failed + Queued + InFlight
// + what was dropped later (all reasons but full and refused).
type Stats struct {
	Accepted     uint64 // messages taken by Publish; with SpoolAlways, those that are on disk
	Unwritten    uint64 // with SpoolAlways: taken and not on disk yet, and so not accepted
	Recovered    uint64 // messages of an earlier run that the spool held at the start
	Queued       uint64 // not handed to the adapter yet, in memory or on disk
	InFlight     uint64 // handed over and without an answer
	Sent         uint64 // messages handed to the adapter; a message sent again by a new session counts again
	Acknowledged uint64 // by the server
	Failed       uint64 // refused for good by the adapter or the server
	Dropped      uint64 // refused by Publish, or given up later
	DroppedBy    map[string]uint64
	Bytes        uint64 // payload bytes acknowledged
	QueuedBytes  uint64 // topic, key, payload and header bytes in memory without an answer
	Retried      uint64 // messages that were under way when a session was lost, and are sent again
	Reconnects   uint64 // how often the connection came back
	Sessions     uint64 // how often the adapter had to start anew after a fatal error

	Received       uint64 // messages that subscriptions brought
	ReceivedBytes  uint64 // payload bytes of them
	Redelivered    uint64 // those of them that the server had sent before, as far as it says
	Unacknowledged uint64 // handed out, or waiting for Next, without an Ack

	Spooled       uint64 // messages on disk without an answer
	SpooledBytes  uint64 // of the spool's files
	SpooledOldest time.Time
	SpoolErrors   uint64 // how often the disk refused
	Unspooled     uint64 // messages that went on without the disk, because it refused or was full

	// Of the time from handing a message over to its acknowledgement, sampled; 0 without samples.
	RoundTrip50, RoundTrip90, RoundTrip99 time.Duration

	State         State
	LastError     string // "" when there was none; never holds a secret
	LastErrorTime time.Time
	Host          string
	Adapter       string // name of the protocol
	ProtoLib      string // as given
	Substituted   bool   // the built-in adapter stands for the library that ProtoLib names
	Shared        bool
	Session       uint64 // as the session header names it; 0 without headers
}

// Stats returns the counts of this moment.
func (c *Connection) Stats() Stats {
	l := c.l
	l.mu.Lock()
	defer l.mu.Unlock()
	// An answer may come before the adapter's Publish returns, so the difference can be short-lived negative.
	inFlight := max(l.q.messages-l.q.unsent, 0)
	s := Stats{Accepted: l.stats.accepted, Recovered: l.stats.recovered, Queued: uint64(l.q.messages - inFlight),
		InFlight: uint64(inFlight), Sent: l.stats.sent, Acknowledged: l.stats.acknowledged, Failed: l.stats.failed,
		Dropped: l.stats.dropped, DroppedBy: map[string]uint64{}, Bytes: l.stats.bytes, QueuedBytes: uint64(l.q.bytes),
		Retried: l.stats.retried, Reconnects: l.stats.reconnects, Sessions: l.stats.sessions,
		State: l.state, LastError: l.stats.lastError, LastErrorTime: l.stats.lastErrorTime,
		Host: l.info.Host, Adapter: l.adapter.Name(), ProtoLib: c.opts.ProtoLib, Substituted: l.substituted,
		Shared: l.key != "", Session: l.identity}
	for why, n := range l.stats.droppedBy {
		s.DroppedBy[why] = n
	}
	l.rx.mu.Lock()
	s.Received, s.ReceivedBytes, s.Redelivered = l.rx.received, l.rx.bytes, l.rx.redelivered
	s.Unacknowledged = uint64(max(l.rx.unacknowledged, 0))
	l.rx.mu.Unlock()
	s.RoundTrip50, s.RoundTrip90, s.RoundTrip99 = l.rtt.percentiles()
	if l.sp != nil {
		st := l.stats.left
		if l.state != StateClosed {
			st = l.sp.s.Stats()
			s.Queued += uint64(l.sp.waiting)
			if unwritten := uint64(l.sp.stage.messages + l.sp.writing); l.sp.mode == SpoolAlways {
				s.Unwritten = unwritten
			} else {
				s.Queued += unwritten
			}
			s.QueuedBytes += uint64(l.sp.stage.bytes)
		}
		s.Spooled, s.SpooledBytes, s.SpooledOldest = uint64(st.Messages), uint64(st.Bytes), st.Oldest
		s.SpoolErrors, s.Unspooled = l.sp.errors, l.sp.unspooled
	}
	return s
}

// rtt samples the time between handing a message over and its answer: one message at a time.
type rtt struct {
	seq     uint64 // that is being timed; 0 means none
	began   time.Time
	samples [256]time.Duration
	count   int
}

func (r *rtt) handed(seq uint64) {
	if r.seq == 0 {
		r.seq, r.began = seq, time.Now()
	}
}

func (r *rtt) answered(seq uint64) {
	if seq == r.seq {
		r.samples[r.count%len(r.samples)] = time.Since(r.began)
		r.count++
		r.seq = 0
	}
}

func (r *rtt) forget() { r.seq = 0 }

func (r *rtt) percentiles() (p50, p90, p99 time.Duration) {
	n := min(r.count, len(r.samples))
	if n == 0 {
		return 0, 0, 0
	}
	s := slices.Clone(r.samples[:n])
	slices.Sort(s)
	return s[(n-1)*50/100], s[(n-1)*90/100], s[(n-1)*99/100]
}
