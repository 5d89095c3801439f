// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
)

// session connects and sends until something goes wrong.
func (c *conn) session() *trouble {
	c.mu.Lock()
	c.trouble, c.progress = nil, false
	c.mu.Unlock()
	if err := c.topo.find(c.ctx); err != nil {
		return &trouble{err: err}
	}
	s := session{c: c, lanes: map[lanePlace]*lane{}}
	defer s.end()
	if t := s.open(lanePlace{c.topo.home(), false}); t != nil {
		return t
	}
	c.mu.Lock()
	trial := c.trial
	c.mu.Unlock()
	if !trial {
		c.health.up(publishing)
	}
	for {
		if t := s.step(); t != nil {
			s.drain()
			return t
		}
	}
}

// A session is what lives from connecting to the first trouble.
type session struct {
	c     *conn
	lanes map[lanePlace]*lane
	wg    sync.WaitGroup
}

type lanePlace struct {
	addr   string
	asking bool
}

// open makes a connection.
func (s *session) open(at lanePlace) *trouble {
	c := s.c
	nc, err := c.o.dial(c.ctx, at.addr, c.o.tls)
	if err != nil {
		return &trouble{err: err, from: at.addr}
	}
	// Close must not wait for a server that does not answer.
	stop := context.AfterFunc(c.ctx, func() { _ = nc.Close() })
	l := &lane{addr: at.addr, asking: at.asking, nc: nc, r: newReplyReader(nc)}
	maxBulk, err := identity{c.o.username, c.o.password, c.o.db, c.o.clientName}.greet(nc, l.r)
	if err != nil {
		stop()
		_ = nc.Close()
		return &trouble{err: err, from: at.addr}
	}
	if maxBulk > 0 {
		c.maxBulk.Store(maxBulk)
	}
	s.lanes[at] = l
	safe.Go(&s.wg, "answers of "+at.addr, c.panicked, func() {
		defer stop()
		c.read(l)
	})
	return nil
}

// step sends one run of messages, or waits.
func (s *session) step() *trouble {
	c := s.c
	if c.ctx.Err() != nil {
		return &trouble{err: errClosed}
	}
	if c.topo.stale() {
		return &trouble{redirect: true, err: errors.New("the slots are being moved")}
	}
	c.mu.Lock()
	if t := c.trouble; t != nil {
		c.mu.Unlock()
		return t
	}
	limit := c.o.inFlight - c.sent
	if c.trial {
		limit = 1 - c.sent
	}
	ch, i := c.q.peek()
	if ch == nil || limit <= 0 {
		if c.wants = answers; ch == nil {
			c.wants = messages
		}
		c.mu.Unlock()
		s.wait()
		return nil
	}
	var at lanePlace
	at.addr, at.asking = c.topo.place(ch.topic(i))
	l := s.lanes[at]
	if l == nil {
		topic := string(ch.topic(i))
		c.mu.Unlock()
		if at.addr == "" {
			return &trouble{err: &serverError{fmt.Sprintf("CLUSTERDOWN no node has slot %d of stream %s", slotOf([]byte(topic)), topic)}}
		}
		return s.open(at)
	}
	var same func(*chunk, int) bool
	if c.topo.cluster {
		same = func(ch *chunk, i int) bool {
			addr, asking := c.topo.place(ch.topic(i))
			return addr == at.addr && asking == at.asking
		}
	}
	seg := c.q.take(ch, i, limit, same)
	n := seg.to - seg.from
	if l.waiting == 0 {
		l.since = time.Now()
	}
	l.pending = append(l.pending, seg)
	l.waiting += n
	c.sent += n
	data := ch.buf[ch.entries[seg.from].start:ch.entries[seg.to-1].end]
	if at.asking {
		data = withAsking(ch, seg)
	}
	ch.writing++
	c.mu.Unlock()
	_ = l.nc.SetWriteDeadline(time.Now().Add(c.o.patience))
	_, err := l.nc.Write(data)
	c.mu.Lock()
	ch.writing--
	c.q.free()
	c.mu.Unlock()
	if err != nil {
		c.fail(l, err)
	}
	return nil
}

// withAsking copies the commands of seg, each behind an ASKING.
func withAsking(ch *chunk, seg segment) []byte {
	var out []byte
	for _, e := range ch.entries[seg.from:seg.to] {
		out = append(append(out, asking...), ch.buf[e.start:e.end]...)
	}
	return out
}

// wait sleeps until there is something to look at.
func (s *session) wait() {
	var again <-chan time.Time
	if !s.c.topo.until.IsZero() {
		timer := time.NewTimer(askLifetime)
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-s.c.wake:
	case <-s.c.ctx.Done():
	case <-again:
	}
}

// drain waits for the answers that are under way on sound connections.
func (s *session) drain() {
	timer := time.NewTimer(drainPatience)
	defer timer.Stop()
	for {
		busy := false
		s.c.mu.Lock()
		for _, l := range s.lanes {
			busy = busy || (!l.broken && l.waiting > 0)
		}
		s.c.wants = answers
		s.c.mu.Unlock()
		if !busy {
			return
		}
		select {
		case <-s.c.wake:
		case <-s.c.ctx.Done():
			return
		case <-timer.C:
			return
		}
	}
}

// end closes everything; what has no answer is to be sent again.
func (s *session) end() {
	for _, l := range s.lanes {
		_ = l.nc.Close()
	}
	s.wg.Wait()
	s.c.mu.Lock()
	s.c.sent = 0
	s.c.q.rewind()
	s.c.mu.Unlock()
}

// fail marks a connection as lost.
func (c *conn) fail(l *lane, err error) {
	c.mu.Lock()
	l.broken = true
	if c.trouble == nil {
		if errors.Is(err, errSilent) {
			err = fmt.Errorf("%w: no answer to %d messages for %v; check the server and the network", errSilent, l.waiting, c.o.patience)
		}
		c.trouble = &trouble{err: err, from: l.addr}
	}
	c.wakeLocked(c.wants)
	c.mu.Unlock()
}
