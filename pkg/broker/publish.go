// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"errors"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Publish copies m into the queue. It never waits: when the queue is full it returns ErrFull, and the
// message counts as dropped; or, with DropOldest, others do.
func (c *Connection) Publish(m Message) error {
	ts, topic := c.defaults(&m)
	l := c.l
	l.mu.Lock()
	err := c.putLocked(&m, topic, ts)
	if err != nil {
		c.dropLocked(err)
	}
	l.mu.Unlock()
	return err
}

func (c *Connection) defaults(m *Message) (ts int64, topic string) {
	if ts = m.TimestampMS; ts == 0 {
		ts = time.Now().UnixMilli()
	}
	if topic = m.Topic; topic == "" {
		topic = c.DefaultTopic()
	}
	return ts, topic
}

// putLocked takes the message into the queue or says why not.
func (c *Connection) putLocked(m *Message, topic string, ts int64) error {
	l := c.l
	size := len(topic) + len(m.Key) + len(m.Payload) + len(m.Headers)
	switch {
	case l.closed || c.isClosed():
		return ErrClosed
	case c.opts.ReceiveOnly:
		return ErrReceiveOnly
	case topic == "":
		return ErrNoTopic
	case m.Headers != nil && m.Headers.Check() != nil:
		return ErrHeaders
	case int64(size) > l.maxBytes || size > adapters.MaxBatchData/2, l.sp != nil && int64(size) > l.sp.most:
		return ErrTooLarge
	}
	for !l.fitsLocked(size) {
		if l.opts.FullPolicy != DropOldest || !l.dropOldestLocked() {
			return ErrFull
		}
	}
	l.seq++
	msg := adapters.Message{Seq: l.seq, TimestampMS: ts, Session: l.identity, Key: m.Key, Payload: m.Payload, Headers: m.Headers}
	if l.identity != 0 {
		msg.Number = l.seq - l.base
	}
	if l.sp != nil && l.sp.takesLocked() {
		l.sp.stage.add(topic, &msg, size)
		if l.opts.Spool.Mode == SpoolOverflow {
			l.stats.accepted++
		}
		l.sp.pokeLocked()
		return nil
	}
	l.q.add(topic, &msg, size)
	l.stats.accepted++
	if l.idle {
		l.idle = false
		token(l.wake)
	}
	return nil
}

// fitsLocked reports whether memory has room for a message.
func (l *link) fitsLocked(size int) bool {
	messages, bytes := l.q.messages, l.q.bytes
	if l.sp != nil {
		messages += l.sp.stage.messages
		bytes += l.sp.stage.bytes
	}
	return messages < l.maxMessages && bytes+int64(size) <= l.maxBytes
}

// dropOldestLocked gives up the oldest message in memory that can be. With a spool the oldest are there:
// the spooler drops them.
func (l *link) dropOldestLocked() bool {
	if l.sp != nil {
		return false
	}
	if !l.q.dropOldest() {
		return false
	}
	l.droppedLocked(dropOldest, ErrFull, 1)
	return true
}

// dropLocked counts a message that was not taken.
func (c *Connection) dropLocked(reason error) {
	why := dropRefused
	if errors.Is(reason, ErrFull) {
		why = dropFull
	}
	c.l.stats.drop(why, 1)
	c.notify.dropped(reason, 1)
}

// PublishWait is Publish with back-pressure: while the server is connected, or the first attempt to connect
// is under way, and the queue is full, it waits for room, for at most patience (0 means for ever), or until
// cancel is closed, which gives ErrCanceled; such a message counts nowhere. When the connection is down, or
// the policy is another than Block, it does not wait.
func (c *Connection) PublishWait(m Message, patience time.Duration, cancel <-chan struct{}) error {
	ts, topic := c.defaults(&m)
	l := c.l
	var timeout <-chan time.Time
	for {
		l.mu.Lock()
		err := c.putLocked(&m, topic, ts)
		if err == nil {
			l.mu.Unlock()
			return nil
		}
		if !errors.Is(err, ErrFull) || l.opts.FullPolicy != Block || l.awayLocked() {
			c.dropLocked(err)
			l.mu.Unlock()
			return err
		}
		l.waiters++
		changed := l.changed
		l.mu.Unlock()
		if timeout == nil && patience > 0 {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			timeout = timer.C
		}
		var failure error
		select {
		case <-changed:
		case <-timeout:
			failure = ErrFull
		case <-cancel:
			failure = ErrCanceled
		}
		l.mu.Lock()
		l.waiters--
		if failure != nil {
			if failure != ErrCanceled { // the caller may come again
				c.dropLocked(failure)
			}
			l.mu.Unlock()
			return failure
		}
		l.mu.Unlock()
	}
}
