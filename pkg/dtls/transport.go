// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"bytes"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/handshake"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

// The records of an attempt, in and out.

// outRecord is a record of the last flight, unprotected.
type outRecord struct {
	typ   byte
	epoch uint16
	body  []byte
}

// sendFlight sends a new flight, which is kept for retransmission: messages, and
// finished behind a ChangeCipherSpec, if there is one.
func (a *attempt) sendFlight(messages [][]byte, finished []byte) error {
	a.flight = a.flight[:0]
	for _, raw := range messages {
		a.addMessage(raw, 0)
	}
	if finished != nil {
		a.flight = append(a.flight, outRecord{typ: typeChangeCipherSpec, body: []byte{1}})
		a.addMessage(finished, 1)
	}
	now := time.Now()
	a.interval = a.r.config.RetransmitInitial
	a.flightSince = now
	a.due = now.Add(a.interval)
	if a.client == nil && finished != nil {
		a.due = time.Time{} // the handshake's last flight: the client asks for it when it needs it again
	}
	return a.transmit()
}

// addMessage adds a message to the flight, in fragments that fit into the MTU
// (RFC 6347 section 4.2.3).
func (a *attempt) addMessage(raw []byte, epoch uint16) {
	most := a.r.config.MTU - headerSize - messageHeader
	if epoch != 0 {
		most -= overhead
	}
	body := raw[messageHeader:]
	if len(body) <= most {
		a.flight = append(a.flight, outRecord{typ: typeHandshake, epoch: epoch, body: raw})
		return
	}
	for at := 0; at < len(body); at += most {
		n := min(most, len(body)-at)
		b := append(make([]byte, 0, messageHeader+n), raw[:6]...)
		b = append(b, byte(at>>16), byte(at>>8), byte(at), byte(n>>16), byte(n>>8), byte(n))
		a.flight = append(a.flight, outRecord{typ: typeHandshake, epoch: epoch, body: append(b, body[at:at+n]...)})
	}
}

// helloFlight says whether the last flight is a ClientHello.
func (a *attempt) helloFlight() bool {
	return len(a.flight) > 0 && a.flight[0].typ == typeHandshake && a.flight[0].body[0] == msgClientHello
}

// repeat sends the last flight again.
func (a *attempt) repeat() error {
	a.r.c.counters.retransmissions.Add(1)
	a.r.dec.calls.flush()
	return a.transmit()
}

// transmit sends the last flight, always with fresh record numbers: a peer takes
// the old ones for replays, also when it has lost its answer.
func (a *attempt) transmit() error {
	left := 0 // bytes to send
	for _, o := range a.flight {
		left += headerSize + overhead + len(o.body)
	}
	datagram := make([]byte, 0, min(left, a.r.config.MTU))
	for _, o := range a.flight {
		n := headerSize + len(o.body)
		if o.epoch != 0 {
			n += overhead
		}
		if len(datagram) > 0 && len(datagram)+n > a.r.config.MTU {
			a.send(datagram)
			left -= len(datagram)
			datagram = make([]byte, 0, min(left, a.r.config.MTU))
		}
		if o.epoch == 0 {
			datagram = a.number(datagram, o)
			continue
		}
		var err error
		if datagram, err = a.protection.seal(datagram, o.typ, o.body); err != nil {
			return &localError{err}
		}
	}
	if len(datagram) > 0 {
		a.send(datagram)
	}
	a.sentAt = time.Now()
	return nil
}

// number appends a record of epoch 0 with the next number.
func (a *attempt) number(dst []byte, o outRecord) []byte {
	var header [headerSize]byte
	putHeader(header[:], o.typ, 0, a.sequence, len(o.body))
	a.sequence++
	return append(append(dst, header[:]...), o.body...)
}

// send gives a datagram to the network, past the guard.
func (a *attempt) send(datagram []byte) { a.r.send(a.guard.Out(datagram)) }

// hold keeps a record of epoch 1 until it can be opened.
func (a *attempt) hold(record []byte) {
	if len(a.held) >= attemptDatagrams || a.heldBytes+len(record) > attemptBytes {
		a.r.c.counters.drop(wire.DropQueueFull)
		return
	}
	if a.protection == nil { // it waits, and its datagram may be much larger
		record = bytes.Clone(record)
	}
	a.held = append(a.held, record)
	a.heldBytes += len(record)
}

// openHeld authenticates the records of epoch 1, once the keys are there and the
// peer is trusted: the Finished is taken; data and warnings, close_notify among
// them, wait for the session, which opens them again.
func (a *attempt) openHeld() error {
	if a.protection == nil || a.complete {
		return nil
	}
	for len(a.held) > 0 {
		record := a.held[0]
		a.held = a.held[1:]
		a.heldBytes -= len(record)
		plain, drop, ok := a.protection.peek(record)
		switch {
		case !ok:
			a.r.c.counters.drop(drop)
		case record[0] == typeHandshake:
			a.protection.window.mark(recordSequence(record))
			if err := a.collect(plain); err != nil || a.complete {
				return err
			}
		case record[0] == typeAlert && len(plain) == 2 && plain[0] == 2:
			return &AlertError{Description: plain[1]}
		case len(a.ready) >= attemptDatagrams || a.readyBytes+len(record) > attemptBytes:
			a.r.c.counters.drop(wire.DropQueueFull)
		default:
			a.ready = append(a.ready, record)
			a.readyBytes += len(record)
		}
	}
	return nil
}

// collect takes the fragments of the peer's Finished, which have authenticated.
func (a *attempt) collect(plain []byte) error {
	for len(plain) > 0 {
		f, rest, ok := nextFragment(plain)
		if !ok || f.msg != msgFinished || f.length > maxFinished {
			a.r.c.counters.drop(wire.DropMalformed)
			return nil
		}
		plain = rest
		if a.finishing.add(f) {
			return a.takeFinished(a.finishing.raw)
		}
	}
	return nil
}

// maxFinished bounds a Finished: every cipher suite here has one of 12 bytes.
const maxFinished = 64

// messageFragment is one handshake fragment (RFC 6347 section 4.2.2).
type messageFragment struct {
	msg            byte
	seq            uint16
	length, offset int
	data           []byte
}

// nextFragment cuts the first fragment off what a handshake record held.
func nextFragment(b []byte) (f messageFragment, rest []byte, ok bool) {
	if len(b) < messageHeader {
		return f, nil, false
	}
	uint24 := func(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
	n := uint24(b[9:])
	f = messageFragment{msg: b[0], seq: handshake.Seq(b), length: uint24(b[1:]), offset: uint24(b[6:])}
	if n > len(b)-messageHeader || f.offset+n > f.length || n == 0 {
		return f, nil, false
	}
	f.data = b[messageHeader : messageHeader+n]
	return f, b[messageHeader+n:], true
}

// collector puts one authentic message together from its fragments.
type collector struct {
	raw    []byte // with the header of an unfragmented one
	filled []bool
	left   int
}

// add takes a fragment and says whether the message is whole now.
func (c *collector) add(f messageFragment) bool {
	if len(c.filled) != f.length || handshake.Seq(c.raw) != f.seq {
		length := []byte{byte(f.length >> 16), byte(f.length >> 8), byte(f.length)}
		c.raw = append(make([]byte, 0, messageHeader+f.length), f.msg, length[0], length[1], length[2],
			byte(f.seq>>8), byte(f.seq), 0, 0, 0, length[0], length[1], length[2])
		c.raw = c.raw[:messageHeader+f.length]
		c.filled, c.left = make([]bool, f.length), f.length
	}
	for i, b := range f.data {
		if !c.filled[f.offset+i] {
			c.filled[f.offset+i] = true
			c.left--
			c.raw[messageHeader+f.offset+i] = b
		}
	}
	return c.left == 0
}
