// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// State is that of a connection.
type State int

// The states.
const (
	StateConnecting   State = iota // never connected so far
	StateConnected                 // the server answers
	StateReconnecting              // the server was there and is away; attempts go on
	StateFailed                    // out of order; nothing is sent any more
	StateClosed                    // closed by Close
)

// String is the lower-case name of the state.
func (s State) String() string {
	switch s {
	case StateConnecting:
		return "connecting"
	case StateConnected:
		return "connected"
	case StateReconnecting:
		return "reconnecting"
	case StateFailed:
		return "failed"
	case StateClosed:
		return "closed"
	}
	return "unknown"
}

// A StateChange tells a new state, or a new reason for not being connected (Old equals New then).
type StateChange struct {
	Old, New State
	Host     string
	Reason   string // for a person; "" when connected
	Time     time.Time
}

// setStateLocked changes the state and tells it.
func (c *Connection) setStateLocked(s State, reason string) {
	if c.state == s && c.reason == reason && c.told {
		return
	}
	c.told = true
	if c.state == StateClosed || (c.state == StateFailed && s != StateClosed) {
		return
	}
	host := c.info.Host
	change := StateChange{Old: c.state, New: s, Host: host, Reason: reason, Time: time.Now()}
	c.state, c.reason = s, reason
	switch s {
	case StateConnected:
		if c.was {
			c.stats.reconnects++
		}
		c.was = true
	case StateReconnecting, StateConnecting, StateFailed:
		if reason != "" {
			c.lastErrorLocked(host + ": " + reason)
		}
	}
	c.notify.state(change)
	c.signalLocked()
}

func (c *Connection) lastErrorLocked(text string) {
	c.stats.lastError, c.stats.lastErrorTime = text, time.Now()
}

// A sink takes what one session of the adapter reports.
type sink struct {
	c       *Connection
	session int
}

// resultsPerLock keeps the time short for which a flood of acknowledgements locks publishers out.
const resultsPerLock = 256

// Done counts the server's answers.
func (s *sink) Done(results []adapters.Result) {
	c := s.c
	for len(results) > 0 {
		part := results[:min(len(results), resultsPerLock)]
		results = results[len(part):]
		c.mu.Lock()
		if s.session != c.session {
			c.mu.Unlock()
			return
		}
		for i := range part {
			payload, ok := c.q.answer(part[i].Seq)
			if !ok {
				continue
			}
			if part[i].Err == nil {
				c.stats.acknowledged++
				c.stats.bytes += uint64(payload)
				continue
			}
			c.stats.failed++
			c.notify.failed(part[i].Err)
			if i == len(part)-1 || part[i+1].Err != part[i].Err {
				c.lastErrorLocked(part[i].Err.Error())
			}
		}
		c.signalLocked()
		full := c.full
		c.mu.Unlock()
		if full {
			token(c.room)
		}
	}
}

// State follows the adapter's.
func (s *sink) State(e adapters.StateEvent) {
	c := s.c
	c.mu.Lock()
	if s.session == c.session {
		if c.info.Host == "" {
			c.info.Host = e.Host
		}
		switch e.State {
		case adapters.Connected:
			c.setStateLocked(StateConnected, "")
		case adapters.Connecting, adapters.Disconnected:
			switch {
			case !c.was:
				c.setStateLocked(StateConnecting, e.Reason)
			case e.State == adapters.Disconnected:
				c.setStateLocked(StateReconnecting, e.Reason)
			}
		case adapters.Failed: // the dispatcher tells it and starts a new session
		}
	}
	c.mu.Unlock()
	token(c.room)
}

// Log passes a line on; an error is also the last error.
func (s *sink) Log(e adapters.LogEntry) {
	if e.Level == adapters.LogError {
		s.c.mu.Lock()
		s.c.lastErrorLocked(e.Text)
		s.c.mu.Unlock()
	}
	s.c.notify.log(e)
}
