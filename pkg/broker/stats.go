// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import "time"

type counters struct {
	accepted, sent, acknowledged, failed, dropped, bytes uint64
	reconnects, sessions                                 uint64
	lastError                                            string
	lastErrorTime                                        time.Time
}

// Stats are the counts of a connection since Connect. When nothing is dropped at the end,
// Accepted = Acknowledged + Failed + Queued + InFlight.
type Stats struct {
	Accepted     uint64 // messages taken by Publish
	Queued       uint64 // of these, not handed to the adapter yet
	InFlight     uint64 // of these, handed over and without an answer
	Sent         uint64 // messages handed to the adapter; a message sent again by a new session counts again
	Acknowledged uint64 // by the server
	Failed       uint64 // refused for good by the adapter or the server
	Dropped      uint64 // refused by Publish, or given up by Close
	Bytes        uint64 // payload bytes acknowledged
	QueuedBytes  uint64 // topic, key and payload bytes without an answer
	Reconnects   uint64 // how often the connection came back
	Sessions     uint64 // how often the adapter had to start anew after a fatal error

	State         State
	LastError     string // "" when there was none; never holds a secret
	LastErrorTime time.Time
	Host          string
	Adapter       string // name of the protocol
	ProtoLib      string // as given
	Substituted   bool   // the built-in adapter stands for the library that ProtoLib names
}

// Stats returns the counts of this moment.
func (c *Connection) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	// An answer may come before the adapter's Publish returns, so the difference can be short-lived negative.
	inFlight := max(c.q.messages-c.q.unsent, 0)
	return Stats{Accepted: c.stats.accepted, Queued: uint64(c.q.messages - inFlight), InFlight: uint64(inFlight),
		Sent: c.stats.sent, Acknowledged: c.stats.acknowledged, Failed: c.stats.failed, Dropped: c.stats.dropped,
		Bytes: c.stats.bytes, QueuedBytes: uint64(c.q.bytes), Reconnects: c.stats.reconnects, Sessions: c.stats.sessions,
		State: c.state, LastError: c.stats.lastError, LastErrorTime: c.stats.lastErrorTime,
		Host: c.info.Host, Adapter: c.adapter.Name(), ProtoLib: c.opts.ProtoLib, Substituted: c.substituted}
}
