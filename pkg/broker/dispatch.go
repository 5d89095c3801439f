// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	// A full adapter tells when it has room; this is for one that forgets.
	roomPatience = 50 * time.Millisecond
	// Between the sessions of an adapter that fails for good; doubled each time, with jitter.
	firstSessionPause = 500 * time.Millisecond
	lastSessionPause  = 30 * time.Second
)

// dispatch hands the queue to the adapter, session after session, until the connection is stopped.
func (c *Connection) dispatch(conn adapters.Conn) {
	pause := firstSessionPause
	for {
		began := time.Now()
		failure := c.serve(conn)
		_ = conn.Close() // what it leaves without an answer stays in the queue
		if failure == nil {
			return
		}
		if time.Since(began) > lastSessionPause {
			pause = firstSessionPause
		}
		if conn = c.reopen(failure, &pause); conn == nil {
			return
		}
	}
}

// reopen starts a new session, for as long as it takes; nil means that the connection was stopped.
func (c *Connection) reopen(failure error, pause *time.Duration) adapters.Conn {
	for {
		c.mu.Lock()
		c.session++ // late words of the old session count no more
		state := StateConnecting
		if c.was {
			state = StateReconnecting
		}
		c.setStateLocked(state, failure.Error())
		c.q.rewind()
		c.stats.sessions++
		c.mu.Unlock()
		timer := time.NewTimer(*pause/2 + rand.N(*pause))
		*pause = min(*pause*2, lastSessionPause)
		select {
		case <-c.stop:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		conn, err := c.open()
		if err == nil {
			return conn
		}
		failure = err
	}
}

// serve feeds one session. It returns nil when the connection is stopped, else why the session is lost.
func (c *Connection) serve(conn adapters.Conn) error {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-c.stop:
			return nil
		default:
		}
		c.mu.Lock()
		chunk, batch := c.q.take()
		if chunk == nil {
			c.idle, c.full = true, false
			c.mu.Unlock()
			select {
			case <-c.stop:
				return nil
			case <-c.wake:
			case <-c.room: // a state: a session that failed shows in Publish
				if err := c.probe(conn); err != nil {
					return err
				}
			}
			continue
		}
		c.idle, c.full = false, true // full until shown otherwise, so that no answer goes unnoticed
		from := chunk.sent
		c.mu.Unlock()
		n, err := conn.Publish(&batch, from)
		c.mu.Lock()
		c.q.giveBack(chunk, n)
		c.stats.sent += uint64(n)
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if from+n == batch.Len() {
			continue
		}
		retry.Reset(roomPatience)
		select {
		case <-c.stop:
			return nil
		case <-c.room:
		case <-retry.C:
		}
	}
}

// probe asks the adapter whether its session still stands: publishing nothing costs nothing.
func (c *Connection) probe(conn adapters.Conn) error {
	_, err := conn.Publish(&adapters.Batch{}, 0)
	return err
}

// A DrainReport says what became of the messages that were in the queue when draining began.
type DrainReport struct {
	Acknowledged uint64 // by the server, since then
	Failed       uint64 // refused for good, since then
	Remaining    uint64 // without an answer
}

// Drain waits until every message accepted before the call has its answer, or until ctx ends. Messages
// may be published meanwhile.
func (c *Connection) Drain(ctx context.Context) DrainReport { return c.drain(ctx, false) }

// drain with connectedOnly gives up as soon as the server is away.
func (c *Connection) drain(ctx context.Context, connectedOnly bool) DrainReport {
	c.mu.Lock()
	target, acknowledged, failed := c.seq, c.stats.acknowledged, c.stats.failed
	for {
		oldest, some := c.q.oldest()
		if !some || oldest > target || ctx.Err() != nil || c.state == StateFailed || c.state == StateClosed ||
			(connectedOnly && c.state != StateConnected) {
			break
		}
		c.waiters++
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		c.mu.Lock()
		c.waiters--
	}
	r := DrainReport{Acknowledged: c.stats.acknowledged - acknowledged, Failed: c.stats.failed - failed,
		Remaining: uint64(c.q.unansweredUpTo(target))}
	c.mu.Unlock()
	return r
}

// awayLocked reports that the server is known to be away; a first attempt that is under way is not that.
func (c *Connection) awayLocked() bool {
	return c.state != StateConnected && (c.state != StateConnecting || c.reason != "")
}

// awaitFirst gives a first attempt to connect a moment to succeed, if messages wait for it.
func (c *Connection) awaitFirst(ctx context.Context) {
	timer := time.NewTimer(firstPatience)
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.state == StateConnecting && c.reason == "" && c.q.messages > 0 {
		c.waiters++
		changed := c.changed
		c.mu.Unlock()
		over := false
		select {
		case <-changed:
		case <-ctx.Done():
			over = true
		case <-timer.C:
			over = true
		}
		c.mu.Lock()
		c.waiters--
		if over {
			return
		}
	}
}

// Close refuses new messages, drains until ctx ends but not while the server is away, and ends the
// connection; what remains is given up and counts as dropped. After draining it takes at most half a
// second more. Callbacks that are due are still called. It may be called again.
func (c *Connection) Close(ctx context.Context) DrainReport {
	c.mu.Lock()
	c.closed = true
	c.signalLocked()
	acknowledged, failed := c.stats.acknowledged, c.stats.failed
	c.mu.Unlock()
	c.awaitFirst(ctx)
	c.drain(ctx, true)
	c.mu.Lock()
	first := false
	select {
	case <-c.stop:
	default:
		close(c.stop)
		first = true
	}
	c.mu.Unlock()
	c.wg.Wait()
	c.mu.Lock()
	r := DrainReport{Acknowledged: c.stats.acknowledged - acknowledged, Failed: c.stats.failed - failed,
		Remaining: uint64(c.q.messages)}
	if first {
		c.stats.dropped += uint64(c.q.messages)
		c.q = queue{} // what was given up is neither queued nor in flight any more
		c.setStateLocked(StateClosed, "")
	}
	c.mu.Unlock()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), callbackPatience)
	defer cancel()
	c.notify.finish(grace)
	return r
}
