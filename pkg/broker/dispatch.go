// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"errors"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	// A full adapter tells when it has room; this is for one that forgets.
	roomPatience = 50 * time.Millisecond
	// Waking this goroutine costs the publisher more than all the rest of Publish: so much is collected first.
	dispatchLinger = time.Millisecond
	// A session that has lasted this long was a good one: the next pause is the first one again.
	goodSession = 30 * time.Second
)

// errGaveUp ends a session because the connection has failed.
var errGaveUp = errors.New("the connection has failed")

// dispatch hands the queue to the adapter, session after session, until the connection is stopped or has
// failed.
func (l *link) dispatch(conn adapters.Conn) {
	attempts := 0
	for {
		began := time.Now()
		failure := l.serve(conn)
		l.rx.end()
		_ = conn.Close() // what it leaves without an answer stays in the queue
		if failure == nil || failure == errGaveUp {
			return
		}
		if time.Since(began) > goodSession {
			attempts = 0
		}
		if conn = l.reopen(failure, &attempts); conn == nil {
			return
		}
	}
}

// reopen starts a new session, for as long as it takes; nil means that the connection was stopped.
func (l *link) reopen(failure error, attempts *int) adapters.Conn {
	for {
		*attempts++
		pause := l.opts.Reconnect.pause(*attempts)
		l.mu.Lock()
		l.session++ // late words of the old session count no more
		state := StateConnecting
		if l.was {
			state = StateReconnecting
		}
		l.attempt, l.next = *attempts, time.Now().Add(pause)
		l.setStateLocked(state, failure.Error())
		l.stats.retried += uint64(max(l.q.messages-l.q.unsent, 0))
		l.q.rewind()
		l.rtt.forget()
		l.stats.sessions++
		l.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-l.stop:
		case <-l.givenUp:
		case <-timer.C:
			conn, err := l.open()
			if err == nil {
				l.rx.begin(conn)
				return conn
			}
			failure = err
			continue
		}
		timer.Stop()
		return nil
	}
}

// holdLocked reports that nothing is to be handed to the adapter now: while the server is away messages are
// better off here, where they can be spooled or make room for newer ones.
func (l *link) holdLocked() bool {
	return l.awayLocked() || (l.opts.FullPolicy == DropOldest && l.q.messages-l.q.unsent >= max(l.maxMessages/2, 1))
}

// wakeLocked wakes the dispatcher if it waits for messages.
func (l *link) wakeLocked() {
	if l.idle {
		l.idle = false
		token(l.wake)
	}
}

// serve feeds one session. It returns nil when the connection is stopped, else why the session is lost.
func (l *link) serve(conn adapters.Conn) error {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-l.stop:
			return nil
		case <-l.givenUp:
			return errGaveUp
		default:
		}
		l.mu.Lock()
		var chunk *chunk
		var batch adapters.Batch
		hold := l.holdLocked()
		if !hold {
			chunk, batch = l.q.take()
		}
		if chunk == nil {
			l.idle, l.full = !hold, hold
			l.mu.Unlock()
			select {
			case <-l.stop:
				return nil
			case <-l.givenUp:
				return errGaveUp
			case <-l.wake:
				time.Sleep(dispatchLinger)
			case <-l.room: // a state: a session that failed shows in Publish
				if err := l.probe(conn); err != nil {
					return err
				}
			}
			continue
		}
		l.idle, l.full = false, true // full until shown otherwise, so that no answer goes unnoticed
		from := chunk.sent
		l.mu.Unlock()
		n, err := conn.Publish(&batch, from)
		l.mu.Lock()
		l.q.giveBack(chunk, n)
		l.stats.sent += uint64(n)
		if n > 0 {
			l.rtt.handed(batch.Records[from+n-1].Seq)
		}
		l.mu.Unlock()
		if err != nil {
			return err
		}
		if from+n == batch.Len() {
			continue
		}
		retry.Reset(roomPatience)
		select {
		case <-l.stop:
			return nil
		case <-l.givenUp:
			return errGaveUp
		case <-l.room: // it may have told of a failure, and what comes next may be to hold back and wait
			if err := l.probe(conn); err != nil {
				return err
			}
		case <-retry.C:
		}
	}
}

// probe asks the adapter whether its session still stands: publishing nothing costs nothing.
func (l *link) probe(conn adapters.Conn) error {
	_, err := conn.Publish(&adapters.Batch{}, 0)
	return err
}
