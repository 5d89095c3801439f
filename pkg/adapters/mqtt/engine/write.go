// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"errors"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

var errStuck = errors.New("the server answers, but acknowledges no message; the connection is made anew")

// write sends what is due until the session ends.
func (s *session) write() {
	c := s.c
	interval := 15 * time.Second
	if s.keep > 0 {
		interval = min(interval, s.keep/2)
	}
	ticker := time.NewTicker(min(interval, stuckAfter/2))
	defer ticker.Stop()
	renew := make(<-chan time.Time)
	if !s.renewAt.IsZero() {
		timer := time.NewTimer(max(time.Until(s.renewAt), time.Millisecond))
		defer timer.Stop()
		renew = timer.C
	}
	var buf []byte
	var renewEnd <-chan time.Time
	for {
		var results []adapters.Result
		c.mu.Lock()
		over, ending := s.cause != nil, s.ending
		buf, results = s.fill(buf[:0])
		idle := s.inflight == 0
		renewing := s.renew
		c.mu.Unlock()
		c.done(results)
		c.deliver()
		switch {
		case over:
			return
		case ending:
			s.leave(buf, c.o.CleanStart, errGoodbye)
			return
		case len(buf) > 0:
			if err := s.put(buf); err != nil {
				s.fail(err)
				return
			}
			if cap(buf) > 4*writeChunk {
				buf = nil
			}
			if s.qos == 0 {
				c.done(s.settleWritten())
			}
			continue
		case renewing && idle:
			s.leave(nil, false, errRenew)
			return
		}
		if renewing && renewEnd == nil {
			timer := time.NewTimer(renewPatience)
			defer timer.Stop()
			renewEnd = timer.C
		}
		select {
		case <-c.wake:
		case <-renew:
			c.mu.Lock()
			s.renew = true
			c.mu.Unlock()
		case <-renewEnd:
			s.leave(nil, false, errRenew)
			return
		case <-ticker.C:
			if err := s.tick(); err != nil {
				s.fail(err)
				return
			}
		}
	}
}

// put writes to the network; goodbye sets the deadline of a connection that ends.
func (s *session) put(b []byte) error {
	_, err := s.nc.Write(b)
	return err
}

// tick keeps the connection alive and looks after the answers.
func (s *session) tick() error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.inflight > 0 && !s.paused && time.Since(s.answered) > stuckAfter {
		return errStuck
	}
	if s.keep > 0 {
		c.control = append(c.control, typePingreq<<4, 0)
	}
	return nil
}

// leave says goodbye and gives the server a moment to take it.
func (s *session) leave(buf []byte, drop bool, as error) {
	defer s.fail(as)
	// First, so that the reader does not take the server's end of the connection for an outage.
	s.c.mu.Lock()
	s.ending, s.endAs = true, as
	end := time.Now().Add(closePatience)
	if !s.endBy.IsZero() && s.endBy.Before(end) { // a write that was under way has taken its time
		end = s.endBy
	}
	s.c.cond.Broadcast() // the reader may wait for room
	s.c.mu.Unlock()
	_ = s.nc.SetWriteDeadline(end)
	if err := s.put(appendDisconnect(buf, s.version, drop)); err != nil {
		return
	}
	// Closing now, with answers unread, would reset the connection and could destroy what was written: the server
	// ends it when it has read all.
	if half, ok := s.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = s.nc.SetReadDeadline(end)
	<-s.readDone
}

// fill collects what is to be written: small packets first, then as many messages as the window has room
// for. results are messages that the server would not take.
func (s *session) fill(b []byte) ([]byte, []adapters.Result) {
	c := s.c
	var results []adapters.Result
	b = append(b, c.control...)
	c.control = c.control[:0]
	if cap(c.control) > writeChunk {
		c.control = nil
	}
	if s.ending && s.cause == nil {
		return s.lastAnswers(b), nil
	}
	if s.renew || s.ending || s.cause != nil {
		return b, nil
	}
	if s.inflight == 0 {
		s.answered = time.Now()
	}
	for c.q.sent < c.q.n && c.q.sent < maxSent && len(b) < writeChunk {
		i := c.q.sent
		e := c.q.at(i)
		qos := s.qos
		if e.own {
			qos = min(1, s.ack.maxQoS)
		}
		if e.stage == settled {
			c.q.sent++
			continue
		}
		if qos > 0 && s.inflight >= s.window {
			break
		}
		if e.stage == received {
			b = appendAck(b, typePubrel, c.q.id(i), 0)
			e.written = true
			c.q.sent++
			s.inflight++
			continue
		}
		var size int
		if b, size = c.appendPublish(b, i, qos, s.version, s.limit); size < 0 {
			topic := string(e.topic())
			results = c.settle(results, i, tooLarge(c.o.Info.Host, topic, -size, s.limitOr()))
			c.q.sent++
			continue
		}
		e.written, s.sent = true, true
		c.q.sent++
		if qos > 0 {
			s.inflight++
		} else if e.own {
			results = c.settle(results, i, nil)
		}
	}
	c.q.shift()
	return b, results
}

// lastAnswers appends what Reply was given right before the end. Messages of the user's are left out: those have
// no Result, and so are not lost.
func (s *session) lastAnswers(b []byte) []byte {
	c := s.c
	for i := c.q.sent; i < c.q.n && len(b) < writeChunk; i++ {
		e := c.q.at(i)
		if !e.own || e.stage == settled {
			continue
		}
		qos := min(1, s.ack.maxQoS)
		if qos > 0 && s.inflight >= s.window {
			break
		}
		size := 0
		if b, size = c.appendPublish(b, i, qos, s.version, s.limit); size > 0 && qos > 0 {
			s.inflight++
		}
	}
	return b
}

func (s *session) limitOr() int {
	if s.limit > 0 {
		return s.limit
	}
	return maxRemaining
}

// settleWritten gives messages of QoS 0 their word: they are with the network.
func (s *session) settleWritten() []adapters.Result {
	c := s.c
	var results []adapters.Result
	c.mu.Lock()
	for i := range c.q.sent {
		if e := c.q.at(i); e.written && !e.own && e.stage == staged {
			results = c.settle(results, i, nil)
		}
	}
	c.q.shift()
	c.mu.Unlock()
	return results
}
