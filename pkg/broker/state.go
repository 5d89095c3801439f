// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"fmt"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
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

// A StateChange tells a new state; or, where Old equals New, a new reason for not being connected, or that another
// attempt has failed for the same one.
type StateChange struct {
	Old, New State
	Host     string
	Reason   string // for a person; "" when connected
	Time     time.Time
	Attempt  int       // of a connection that is not connected: how many attempts in a row have failed
	Next     time.Time // the latest that the next attempt is made; zero when not known
}

// setStateLocked changes the state and tells it.
func (l *link) setStateLocked(s State, reason string) {
	if l.state == s && l.reason == reason && l.tries == l.attempt && l.told {
		return
	}
	fresh := l.state != s || l.reason != reason || !l.told
	l.told, l.tries = true, l.attempt
	if l.state == StateClosed || (l.state == StateFailed && s != StateClosed) {
		return
	}
	old := l.state
	l.state, l.reason = s, reason
	switch s {
	case StateConnected:
		if l.was && old != StateConnected {
			l.stats.reconnects++
		}
		l.was = true
		l.attempt, l.next = 0, time.Time{}
		l.patienceLocked(false)
	case StateReconnecting, StateConnecting, StateFailed:
		if reason != "" {
			l.lastErrorLocked(l.info.Host + ": " + reason)
		}
		if l.awayLocked() && s != StateFailed {
			l.patienceLocked(true)
			if l.sp != nil && fresh {
				l.sp.awayLocked()
			}
		}
	case StateClosed:
		l.patienceLocked(false)
	}
	change := l.changeLocked(old)
	for _, c := range l.users {
		c.notify.state(change)
	}
	l.signalLocked()
}

func (l *link) changeLocked(old State) StateChange {
	return StateChange{Old: old, New: l.state, Host: l.info.Host, Reason: l.reason, Time: time.Now(), Attempt: l.attempt, Next: l.next}
}

// failLocked ends all attempts for good. What is in the spool stays there, and more may come to it.
func (l *link) failLocked(reason string) {
	if l.state == StateFailed || l.state == StateClosed {
		return
	}
	l.setStateLocked(StateFailed, reason)
	close(l.givenUp)
}

// patienceLocked starts or stops the clock of a server that is away.
func (l *link) patienceLocked(away bool) {
	r := &l.opts.Reconnect
	switch {
	case !away:
		if l.limit != nil {
			l.limit.Stop()
			l.limit = nil
		}
	case l.limit == nil && (r.Off || r.Limit > 0):
		wait, why := r.Limit, fmt.Sprintf("the server was away for %v (max-retry-limit)", r.Limit)
		if r.Off {
			wait, why = 0, "reconnecting is turned off (auto-reconnect=0)"
		}
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			defer safe.Recover("the end of the patience", l.panicked)
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.limit == timer && l.awayLocked() { // not a later outage
				l.failLocked(l.reason + "; " + why)
			}
		})
		l.limit = timer
	}
}

func (l *link) lastErrorLocked(text string) {
	l.stats.lastError, l.stats.lastErrorTime = text, time.Now()
}

// A sink takes what one session of the adapter reports.
type sink struct {
	l       *link
	session int
}

// resultsPerLock keeps the time short for which a flood of acknowledgements locks publishers out.
const resultsPerLock = 256

// Done counts the server's answers.
func (s *sink) Done(results []adapters.Result) {
	l := s.l
	for len(results) > 0 {
		part := results[:min(len(results), resultsPerLock)]
		results = results[len(part):]
		l.mu.Lock()
		if s.session != l.session {
			l.mu.Unlock()
			return
		}
		watchers := l.watchers
		var told []adapters.Result
		for i := range part {
			payload, ok := l.q.answer(part[i].Seq)
			if !ok {
				continue
			}
			if len(watchers) > 0 {
				told = append(told, part[i])
			}
			l.rtt.answered(part[i].Seq)
			if l.sp != nil {
				l.sp.answeredLocked(part[i].Seq)
			}
			if part[i].Err == nil {
				l.stats.acknowledged++
				l.stats.bytes += uint64(payload)
				continue
			}
			l.stats.failed++
			l.failedLocked(part[i].Err)
			if i == len(part)-1 || part[i+1].Err != part[i].Err {
				l.lastErrorLocked(part[i].Err.Error())
			}
		}
		l.signalLocked()
		full := l.full
		l.mu.Unlock()
		if full {
			token(l.room)
		}
		if len(told) > 0 {
			tellResults(watchers, told)
		}
	}
}

// State follows the adapter's.
func (s *sink) State(e adapters.StateEvent) {
	l := s.l
	l.mu.Lock()
	if s.session == l.session {
		if l.info.Host == "" {
			l.info.Host = e.Host
		}
		l.attempt, l.next = e.Attempt, time.Time{}
		if e.Next > 0 {
			l.next = e.Time.Add(e.Next)
		}
		switch e.State {
		case adapters.Connected:
			l.setStateLocked(StateConnected, "")
		case adapters.Connecting, adapters.Disconnected:
			switch {
			case !l.was:
				l.setStateLocked(StateConnecting, e.Reason)
			case e.State == adapters.Disconnected:
				l.setStateLocked(StateReconnecting, e.Reason)
			}
		case adapters.Failed: // the dispatcher tells it and starts a new session
		}
	}
	l.mu.Unlock()
	token(l.room)
}

// Log passes a line on; an error is also the last error.
func (s *sink) Log(e adapters.LogEntry) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	if e.Level == adapters.LogError {
		s.l.lastErrorLocked(e.Text)
	}
	s.l.logLocked(e)
}
