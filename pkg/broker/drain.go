// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"context"
	"time"
)

// A DrainReport says what became of the messages that were in the queue when draining began.
type DrainReport struct {
	Acknowledged uint64 // by the server, since then
	Failed       uint64 // refused for good, since then
	Remaining    uint64 // without an answer, and only in memory; after Close: given up
	Spooled      uint64 // without an answer, and on disk: a later run sends them
}

// Drain waits until every message accepted before the call has its answer, or until ctx ends. Messages
// may be published meanwhile.
func (c *Connection) Drain(ctx context.Context) DrainReport { return c.l.drain(ctx, false) }

// drain with connectedOnly gives up as soon as the server is away.
func (l *link) drain(ctx context.Context, connectedOnly bool) DrainReport {
	l.mu.Lock()
	target, acknowledged, failed := l.seq, l.stats.acknowledged, l.stats.failed
	for l.pendingLocked(target) && ctx.Err() == nil && l.state != StateFailed && l.state != StateClosed &&
		(!connectedOnly || l.state == StateConnected) {
		l.waiters++
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		l.mu.Lock()
		l.waiters--
	}
	r := l.reportLocked(acknowledged, failed)
	l.mu.Unlock()
	return r
}

// pendingLocked reports whether a message up to target has no answer.
func (l *link) pendingLocked(target uint64) bool {
	if oldest, some := l.q.oldest(); some && oldest <= target {
		return true
	}
	if l.sp == nil {
		return false
	}
	if oldest, some := l.sp.stage.oldest(); some && oldest <= target {
		return true
	}
	oldest, some := l.sp.s.NextUnread()
	return l.sp.writing > 0 || l.sp.inserting || (some && oldest <= target)
}

func (l *link) reportLocked(acknowledged, failed uint64) DrainReport {
	r := DrainReport{Acknowledged: l.stats.acknowledged - acknowledged, Failed: l.stats.failed - failed,
		Remaining: uint64(l.q.messages)}
	if l.sp != nil {
		r.Remaining = uint64(max(l.q.messages-l.sp.inQueue, 0) + l.sp.stage.messages + l.sp.writing)
		r.Spooled = uint64(l.sp.s.Stats().Messages)
	}
	return r
}

// awayLocked reports that the server is known to be away; a first attempt that is under way is not that.
func (l *link) awayLocked() bool {
	return l.state != StateConnected && (l.state != StateConnecting || l.reason != "")
}

// awaitFirst gives a first attempt to connect a moment to succeed, if messages wait for it; a shorter one where a
// spool keeps them, which takes its time, too. The moment begins with the attempt: an old one is no reason to wait.
func (l *link) awaitFirst(ctx context.Context) {
	patience := firstPatience
	if l.sp != nil {
		patience = firstPatienceSpool
	}
	if patience -= time.Since(l.began); patience <= 0 {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.state == StateConnecting && l.reason == "" && (l.q.messages > 0 || (l.sp != nil && l.sp.pendingLocked() > 0)) {
		l.waiters++
		changed := l.changed
		l.mu.Unlock()
		over := false
		select {
		case <-changed:
		case <-ctx.Done():
			over = true
		case <-timer.C:
			over = true
		}
		l.mu.Lock()
		l.waiters--
		if over {
			return
		}
	}
}

// Close refuses new messages and ends the use of the connection. The last user's Close drains until ctx
// ends, but not while the server is away, and ends the connection; what remains then goes to the spool, or
// is given up and counts as dropped. After draining it takes at most half a second more. Callbacks that are
// due are still called. It may be called again: who comes second waits for the first, until its own ctx ends.
//
// While others use the link, Close drains likewise and leaves the rest to them.
func (c *Connection) Close(ctx context.Context) DrainReport {
	r, first := c.leave(ctx)
	if !first { // the callbacks end when the first has ended
		select {
		case <-c.gone:
		case <-ctx.Done():
		}
		c.l.mu.Lock()
		defer c.l.mu.Unlock()
		return c.l.reportLocked(c.l.stats.acknowledged, c.l.stats.failed)
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), callbackPatience)
	defer cancel()
	c.notify.finish(grace)
	close(c.gone)
	return r
}

// leave is Close without the end of the callbacks. It happens once.
func (c *Connection) leave(ctx context.Context) (r DrainReport, first bool) {
	l := c.l
	l.mu.Lock()
	if c.isClosed() {
		l.mu.Unlock()
		return r, false
	}
	close(c.left)
	l.mu.Unlock()
	l.rx.closeAll(c) // first: what is published meanwhile has its time, what comes in has not
	l.mu.Lock()
	last := registry.leave(l)
	if last {
		l.closed = true
	}
	l.signalLocked()
	acknowledged, failed := l.stats.acknowledged, l.stats.failed
	l.mu.Unlock()
	l.awaitFirst(ctx)
	l.drain(ctx, true)
	if last {
		r = l.end(acknowledged, failed)
	} else {
		l.mu.Lock()
		r = l.reportLocked(acknowledged, failed)
		l.mu.Unlock()
		l.detach(c)
	}
	return r, true
}

// end stops everything and settles what remains.
func (l *link) end(acknowledged, failed uint64) DrainReport {
	close(l.stop)
	l.wg.Wait()
	var spooled, lost int
	if l.sp != nil {
		spooled, lost = l.sp.close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := DrainReport{Acknowledged: l.stats.acknowledged - acknowledged, Failed: l.stats.failed - failed,
		Remaining: uint64(l.q.messages)}
	if l.sp != nil {
		r.Remaining, r.Spooled = uint64(lost), uint64(spooled)
		l.stats.left = l.sp.s.Stats()
		l.sp.stage, l.sp.inQueue = queue{}, 0
	}
	l.stats.drop(dropStopped, r.Remaining)
	l.q = queue{} // what was given up is neither queued nor in flight any more
	l.setStateLocked(StateClosed, "")
	return r
}
