// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// read takes what the server sends, until the connection ends. rest came before.
func (s *session) read(rest []byte) error {
	c := s.c
	buf := make([]byte, max(readChunk, len(rest)))
	have := copy(buf, rest)
	from, skip := 0, 0 // skip: bytes that are still to come and not wanted
	var results []adapters.Result
	for {
		var need int
		var err error
		paused := false
		results = results[:0]
		c.mu.Lock()
		for !paused {
			n := min(skip, have-from)
			from, skip = from+n, skip-n
			first, body, size, ferr := frame(buf[from:have], maxIncoming)
			if ferr == errTooLong && first>>4 == typePublish && s.version == V311 {
				if size, ferr = s.oversize(buf[from:have], size); ferr == nil {
					skip = size
					continue
				}
			}
			if ferr != nil {
				if need = size; ferr != errMore {
					err = ferr
				}
				break
			}
			var taken bool
			if taken, results, err = s.handle(first, body, results); err != nil {
				break
			}
			if len(c.control) > maxControl {
				err = errFlood
				break
			}
			if !taken {
				paused = true
				break
			}
			from += size
		}
		c.q.shift()
		ready := len(c.control) > 0 || (c.q.sent < c.q.n && s.inflight < s.window) || s.renew
		c.mu.Unlock()
		c.done(results)
		c.deliver()
		if ready {
			c.wakeWriter()
		}
		if err != nil {
			return err
		}
		if paused {
			if err := s.awaitRoom(); err != nil {
				return err
			}
			continue
		}
		have = copy(buf, buf[from:have])
		from = 0
		switch {
		case need > len(buf):
			bigger := make([]byte, min(need, 2*len(buf))) // as the bytes come: the server may promise more than it sends
			if have < len(buf) {
				bigger = nil
			}
			if bigger != nil {
				copy(bigger, buf[:have])
				buf = bigger
			}
		case have == 0 && len(buf) > 4*readChunk:
			buf = make([]byte, readChunk)
		}
		if err := s.deadline(); err != nil {
			return err
		}
		n, rerr := s.nc.Read(buf[have:])
		have += n
		if n == 0 && rerr != nil {
			if err := s.over(); err != nil {
				return err
			}
			return &stageError{stageOpen, rerr}
		}
	}
}

// oversize deals with a message that is larger than maxIncoming. MQTT 3.1.1 has no way to tell a server how
// much we take, and one that keeps the session would send it at each connection: nothing behind it would ever
// come. b is its beginning. errMore: size bytes are needed; else it is the size of the packet, to be skipped.
func (s *session) oversize(b []byte, size int) (int, error) {
	c := s.c
	head := 1
	for b[head]&0x80 != 0 {
		head++
	}
	head++
	if len(b) < head+2 {
		return head + 2, errMore
	}
	until := head + 4 + int(b[head])<<8 + int(b[head+1])
	if until > size {
		return 0, errMalformed
	}
	if len(b) < until {
		return until, errMore
	}
	p, err := parsePublish(b[0], b[head:until], s.version)
	if err != nil {
		return 0, err
	}
	if s.ending {
		return size, nil
	}
	c.logLater(adapters.LogError, "a message on topic %s is not taken: its packet of %d bytes is larger than the %d bytes that this client takes; "+
		"send it in parts, or a reference to it", printable(string(p.topic)), size, maxIncoming)
	if p.qos > 0 {
		x := c.rx.add(arrival{id: p.id, qos: p.qos})
		c.rx.ack(x.Token.(token))
		c.control = c.rx.acknowledge(c.control)
	}
	return size, nil
}

// over is how a session ends that we end ourselves; nil while it is to go on.
func (s *session) over() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.ending:
		return s.endAs
	case s.cause != nil:
		return s.cause
	}
	return nil
}

// deadline bounds the next read: with pings under way something must come.
func (s *session) deadline() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.ending {
		return nil // goodbye has set one
	}
	var until time.Time
	if s.keep > 0 {
		until = time.Now().Add(s.keep + s.keep/2)
	}
	return s.nc.SetReadDeadline(until)
}

// awaitRoom waits until the receiver has acknowledged something, or until the session ends; the error is why it has.
// One that says goodbye goes on reading: what lay unread when the connection is closed would reset it, and so destroy
// what is on its way to the server.
func (s *session) awaitRoom() error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.paused = true // answers to what we publish wait behind: nobody else is to blame for it
	for s.cause == nil && !s.ending && c.receiver != nil && c.rx.full(c.sub.Window) {
		c.cond.Wait()
	}
	s.paused, s.answered = false, time.Now()
	return s.cause
}

// handle takes one packet, under Conn.mu. taken is false when there is no room for it yet.
func (s *session) handle(first byte, body []byte, results []adapters.Result) (taken bool, _ []adapters.Result, err error) {
	c := s.c
	switch kind := first >> 4; kind {
	case typePublish:
		p, err := parsePublish(first, body, s.version)
		if err != nil {
			return false, results, err
		}
		if s.ending {
			return true, results, nil // not acknowledged: it comes again
		}
		return c.arrived(p, s.version), results, nil
	case typePuback, typePubrec, typePubcomp:
		id, code, said, err := parseAck(body, s.version)
		if err != nil {
			return false, results, err
		}
		results = s.answer(kind, id, code, said, results)
		return true, results, s.cause
	case typePubrel:
		id, _, _, err := parseAck(body, s.version)
		if err != nil {
			return false, results, err
		}
		code := byte(0)
		if !c.rx.releases[id] && s.version == V5 {
			code = codeIDNotFound
		}
		delete(c.rx.releases, id)
		c.control = appendAck(c.control, typePubcomp, id, code)
	case typeSuback:
		id, codes, said, err := parseSuback(body, s.version)
		if err != nil {
			return false, results, err
		}
		c.suback(id, codes, said)
	case typeUnsuback:
		if err := c.unsuback(body); err != nil {
			return false, results, err
		}
	case typePingresp:
	case typeDisconnect:
		cur := cursor{b: body}
		e := &codeError{}
		if len(body) > 0 {
			e.code = cur.u8()
		}
		if len(cur.b) > 0 {
			cur.props(func(id byte, _ uint32, a, _ []byte) {
				if id == propReason {
					e.said = string(a)
				}
			})
		}
		return false, results, e
	default:
		return false, results, fmt.Errorf("the server sent a packet of type %d, which is not expected", kind)
	}
	return true, results, nil
}

var errFlood = errors.New("the server sends packets that want answers and takes no answers")

var errIDInUse = errors.New("the server takes the packet identifier for used; the connection is made anew")

// answer takes an acknowledgement.
func (s *session) answer(kind byte, id uint16, code byte, said string, results []adapters.Result) []adapters.Result {
	c := s.c
	i := c.q.find(id)
	if i < 0 {
		if kind == typePubrec {
			c.control = appendAck(c.control, typePubrel, id, 0)
		}
		return results
	}
	e := c.q.at(i)
	switch {
	case !e.written:
		return results
	case kind == typePuback && e.stage == staged, kind == typePubrec && e.stage == staged && code >= 0x80, kind == typePubcomp && e.stage == received:
		s.inflight--
	case kind == typePubrec && e.stage == staged:
		e.stage = received
		s.progress, s.answered = true, time.Now()
		c.control = appendAck(c.control, typePubrel, id, 0)
		return results
	case kind == typePubrec && e.stage == received:
		c.control = appendAck(c.control, typePubrel, id, 0)
		return results
	default:
		return results // of an earlier message with this identifier
	}
	s.progress, s.answered = true, time.Now()
	if code >= 0x80 && kind != typePubcomp {
		if code == codeIDInUse {
			s.inflight++
			if s.cause == nil {
				s.cause = errIDInUse
			}
			return results
		}
		return c.settle(results, i, refusal(c.o.Info.Host, string(e.topic()), code, said, len(e.payload())))
	}
	return c.settle(results, i, nil)
}
