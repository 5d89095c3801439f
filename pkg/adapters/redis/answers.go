// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"errors"
	"net"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// read collects the answers of one connection.
func (c *conn) read(l *lane) {
	look := min(max(c.o.patience/8, 50*time.Millisecond), time.Second)
	for {
		good := 0
		for {
			p, ok, err := l.r.next()
			if err == nil && ok && p.kind == '*' {
				err = errReply
			}
			if err != nil {
				c.settle(l, good)
				c.fail(l, err)
				return
			}
			if !ok {
				break
			}
			if l.asking {
				if l.asked = !l.asked; l.asked {
					continue
				}
			}
			if p.kind != '-' {
				good++
				continue
			}
			e := &serverError{string(p.text)}
			if !c.settle(l, good) || !c.refuse(l, e) {
				c.fail(l, e)
				return
			}
			good = 0
		}
		if !c.settle(l, good) {
			c.fail(l, errReply)
			return
		}
		_ = l.nc.SetReadDeadline(time.Now().Add(look))
		err := l.r.fill()
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			if err = nil; c.silent(l) {
				err = errSilent
			}
		}
		if err != nil {
			c.fail(l, err)
			return
		}
	}
}

func (c *conn) silent(l *lane) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.waiting > 0 && time.Since(l.since) > c.o.patience
}

// settle reports the next n messages of the connection as taken. false means that there are not so many.
func (c *conn) settle(l *lane, n int) bool {
	if n == 0 {
		return true
	}
	l.done = l.done[:0]
	c.mu.Lock()
	if n > l.waiting {
		c.mu.Unlock()
		return false
	}
	c.sent -= n
	l.waiting -= n
	l.since = time.Now()
	for n > 0 {
		s := &l.pending[l.head]
		for ; s.from < s.to && n > 0; s.from++ {
			c.q.answer(s.ch, s.from)
			l.done = append(l.done, adapters.Result{Seq: s.ch.entries[s.from].seq})
			n--
		}
		l.pop()
	}
	c.q.free()
	c.progress = true
	over := c.trial && c.trouble == nil
	if over {
		c.trial = false
	}
	c.wakeLocked(answers)
	c.tellLocked(l)
	if over {
		c.health.up(publishing)
	}
	return true
}

// pop forgets segments without messages.
func (l *lane) pop() {
	for l.head < len(l.pending) && l.pending[l.head].from == l.pending[l.head].to {
		l.pending[l.head].ch = nil
		l.head++
	}
	switch {
	case l.head == len(l.pending):
		l.pending, l.head = l.pending[:0], 0
	case l.head > 64 && l.head > len(l.pending)/2:
		l.pending = l.pending[:copy(l.pending, l.pending[l.head:])]
		l.head = 0
	}
}

// tellLocked unlocks and tells the results of the connection.
func (c *conn) tellLocked(l *lane) {
	c.telling++
	c.mu.Unlock()
	c.sink.Done(l.done)
	c.mu.Lock()
	c.telling--
	c.mu.Unlock()
}

// refuse takes an error for the next message of the connection. One that may pass makes the message stay and
// the session end; any other is the message's result. false means that no message is meant.
func (c *conn) refuse(l *lane, e *serverError) bool {
	_, _, _, redirect := e.redirect()
	stays := redirect || passing[e.code()] != ""
	c.mu.Lock()
	if l.waiting == 0 {
		c.mu.Unlock()
		return false
	}
	s := &l.pending[l.head]
	ch, i := s.ch, s.from
	s.from++
	c.sent--
	l.waiting--
	l.since = time.Now()
	l.pop()
	if stays {
		if c.trouble == nil {
			c.trouble = &trouble{err: e, answer: !redirect, redirect: redirect, from: l.addr}
		}
		c.wakeLocked(c.wants)
		c.mu.Unlock()
		return true
	}
	topic, size := string(ch.topic(i)), int(ch.entries[i].payload)
	l.done = append(l.done[:0], adapters.Result{Seq: ch.entries[i].seq, Err: c.o.refusal(e, l.addr, topic, size)})
	c.q.answer(ch, i)
	c.q.free()
	c.progress = true
	// Whether writing is possible was looked at before the message, but for the right to do so.
	over := c.trial && c.trouble == nil && e.code() != "NOPERM"
	if over {
		c.trial = false
	}
	c.wakeLocked(answers)
	c.tellLocked(l)
	if over {
		c.health.up(publishing)
	}
	return true
}
