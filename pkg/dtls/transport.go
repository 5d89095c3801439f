// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

// An attempt is the net.PacketConn of its stack: what the network sent is
// judged by the guard on the goroutine that reads, which also sends flights
// again when it is time.

// stackDatagram is what the stack reads at a time.
const stackDatagram = 8192

// memoryAddr is the address of a transport that has none.
type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "peer" }

func (a *attempt) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// ReadFrom gives the stack its next datagram.
func (a *attempt) ReadFrom(b []byte) (int, net.Addr, error) { return a.read(nil, b) }

func (a *attempt) read(done <-chan struct{}, b []byte) (int, net.Addr, error) {
	for {
		n, err := a.next(b)
		if n > 0 || err != nil {
			return n, memoryAddr{}, err
		}
		select {
		case <-a.wake:
		case <-done:
			return 0, memoryAddr{}, os.ErrDeadlineExceeded
		}
	}
}

// stackConn is the transport as the stack uses it inside.
type stackConn struct{ a *attempt }

// ReadFromContext is ReadFrom until ctx ends.
func (s stackConn) ReadFromContext(ctx context.Context, b []byte) (int, net.Addr, error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	n, addr, err := s.a.read(ctx.Done(), b)
	if e := ctx.Err(); e != nil && n == 0 {
		err = e
	}
	return n, addr, err
}

// WriteToContext is WriteTo, which never waits.
func (s stackConn) WriteToContext(_ context.Context, b []byte, addr net.Addr) (int, error) {
	return s.a.WriteTo(b, addr)
}

// Close ends the transport.
func (s stackConn) Close() error { return s.a.Close() }

// LocalAddr is of no use.
func (s stackConn) LocalAddr() net.Addr { return memoryAddr{} }

// Conn is the transport.
func (s stackConn) Conn() net.PacketConn { return s.a }

// next works and gives the stack what there is.
func (a *attempt) next(b []byte) (n int, err error) {
	err = net.ErrClosed // after a panic
	defer safe.Recover("a DTLS handshake's transport", a.panicked)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.work()
	for {
		switch {
		case a.closed:
			return 0, net.ErrClosed
		case a.expired:
			return 0, os.ErrDeadlineExceeded
		case len(a.pass) == 0:
			a.setAlarm()
			return 0, nil
		}
		p := a.pass[0]
		a.pass[0] = nil
		a.pass = a.pass[1:]
		if len(p) <= len(b) {
			return copy(b, p), nil
		}
		a.r.c.counters.drop(wire.DropMalformed) // a record longer than any handshake has
	}
}

// panicked gives the attempt up after a panic on one of the stack's
// goroutines, where nobody else recovers.
func (a *attempt) panicked(p *safe.PanicError) {
	a.fail(&localError{p})
	a.r.c.panicked(p)
}

// setAlarm lets the reader wake up when work has something to do. A timer that
// fires too early is cheaper than one that is set anew for every datagram.
func (a *attempt) setAlarm() {
	if a.due.IsZero() || !a.alarm.IsZero() && !a.alarm.After(a.due) {
		return
	}
	a.alarm = a.due
	wait := max(time.Until(a.due), 0)
	if a.timer == nil {
		a.timer = time.AfterFunc(wait, a.ring)
	} else {
		a.timer.Reset(wait)
	}
}

func (a *attempt) ring() {
	a.mu.Lock()
	a.alarm = time.Time{}
	a.signal()
	a.mu.Unlock()
}

// work judges what came and sends the flight again when it is due.
func (a *attempt) work() {
	if a.detached || a.closed {
		return
	}
	for len(a.in) > 0 && len(a.pass) == 0 {
		p := a.in[0]
		a.in[0] = nil
		a.in = a.in[1:]
		a.inBytes -= len(p)
		pass, drops := a.guard.In(p)
		for _, d := range drops {
			a.r.c.counters.drop(d)
		}
		a.sort(pass)
		a.openHeld()
	}
	a.openHeld()
	if a.due.IsZero() {
		return
	}
	now := time.Now()
	if now.Before(a.due) {
		return
	}
	cfg := &a.r.config
	switch {
	case cfg.IsClient && !a.helloFlight() && now.Sub(a.flightSince) > 4*cfg.RetransmitMax:
		a.failLocked(errStalled)
		a.due = time.Time{}
		return
	case !cfg.IsClient && now.Sub(a.began) > serverLife(cfg.HandshakeTimeout):
		a.failLocked(errStalled)
		a.due = time.Time{}
		return
	}
	if cfg.IsClient && a.guard.Stale() {
		a.failLocked(errRequest) // no more often than this
		return
	}
	a.sendFlight()
	a.r.c.counters.retransmissions.Add(1)
	a.interval = min(2*a.interval, cfg.RetransmitMax)
	a.due = now.Add(a.interval)
}

func serverLife(timeout time.Duration) time.Duration {
	if timeout > 0 {
		return timeout
	}
	return serverAttempt
}

// sort divides what the guard passed into what the stack gets, as few
// datagrams as possible, and what is opened here first.
func (a *attempt) sort(pass [][]byte) {
	var stack []byte
	flush := func() {
		if len(stack) > 0 {
			a.pass = append(a.pass, stack)
			stack = nil
		}
	}
	for _, p := range pass {
		for len(p) > 0 {
			record, rest, ok := nextRecord(p)
			if !ok {
				break
			}
			p = rest
			switch {
			case recordEpoch(record) != 0:
				a.hold(record)
				continue
			case record[0] == typeHandshake:
				a.look(record)
			case record[0] == typeChangeCipherSpec:
				a.cipherSpec = true
			}
			if len(stack)+len(record) > stackDatagram {
				flush()
			}
			stack = append(stack, record...)
		}
	}
	flush()
}

// look reads a ServerHello on its way to the stack.
func (a *attempt) look(record []byte) {
	if !a.r.config.IsClient {
		return
	}
	eachMessage(record[headerSize:], func(msg byte, length, offset int, fragment []byte) {
		if msg == msgServerHello {
			a.addServerHello(length, offset, fragment)
		}
	})
}

func (a *attempt) addServerHello(length, offset int, fragment []byte) {
	a.serverHello.add(length, offset, fragment)
	if _, ok := a.serverHello.message(); !ok {
		return
	}
	if len(a.r.config.Profiles) > 0 && !a.serverHello.hasExtension(extensionUseSRTP) {
		if err := forgetProfiles(a.conn); err != nil {
			a.failLocked(&localError{err})
		}
	}
}

// eachMessage calls fn for every handshake message or fragment of a record.
func eachMessage(b []byte, fn func(msg byte, length, offset int, fragment []byte)) {
	for len(b) >= messageHeader {
		length := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		offset := int(b[6])<<16 | int(b[7])<<8 | int(b[8])
		n := int(b[9])<<16 | int(b[10])<<8 | int(b[11])
		if messageHeader+n > len(b) {
			return
		}
		fn(b[0], length, offset, b[messageHeader:messageHeader+n])
		b = b[messageHeader+n:]
	}
}

// hold keeps a record of epoch 1 until it can be opened.
func (a *attempt) hold(record []byte) {
	if len(a.held) >= attemptDatagrams || a.heldBytes+len(record) > attemptBytes {
		a.r.c.counters.drop(wire.DropQueueFull)
		return
	}
	a.held = append(a.held, record)
	a.heldBytes += len(record)
}

// openHeld authenticates the records of epoch 1, once the keys and the peer's
// ChangeCipherSpec are there: the handshake's are for the stack; data and
// warnings, close_notify among them, wait for the session, which opens them again.
func (a *attempt) openHeld() {
	if a.protection == nil || len(a.held) == 0 || !a.cipherSpec {
		return
	}
	for _, record := range a.held {
		plain, drop, ok := a.protection.peek(record)
		switch {
		case !ok:
			a.r.c.counters.drop(drop)
		case record[0] == typeHandshake:
			a.protection.window.mark(recordSequence(record))
			a.pass = append(a.pass, record)
		case record[0] == typeAlert && len(plain) == 2 && plain[0] == 2:
			a.failLocked(&AlertError{Description: plain[1]})
		case len(a.ready) >= attemptDatagrams || a.readyBytes+len(record) > attemptBytes:
			a.r.c.counters.drop(wire.DropQueueFull)
		default:
			a.ready = append(a.ready, record)
			a.readyBytes += len(record)
		}
	}
	a.held, a.heldBytes = nil, 0
}

// WriteTo takes a datagram of the stack: it gets the record numbers of this
// connection, is kept for retransmission and goes to the network.
func (a *attempt) WriteTo(b []byte, _ net.Addr) (int, error) {
	defer safe.Recover("a DTLS handshake's transport", a.panicked)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.detached || a.closed || len(b) < headerSize {
		return len(b), nil
	}
	msg, _ := messageOf(b)
	if a.hello != nil && !a.primed {
		if msg == msgHelloVerifyRequest && recordEpoch(b) == 0 {
			a.prime()
		}
		return len(b), nil
	}
	out := b
	datagram := make([]byte, 0, len(out))
	fresh := false
	for len(out) > 0 {
		record, rest, ok := nextRecord(out)
		if !ok {
			break
		}
		out = rest
		o, ok := a.plain(record)
		if !ok {
			continue
		}
		if o.typ != typeAlert {
			if a.beginsFlight(o) {
				a.flight, fresh = a.flight[:0], true
			}
			a.flight = append(a.flight, o)
		}
		if datagram, ok = a.number(datagram, o); !ok {
			return len(b), nil
		}
	}
	if len(datagram) == 0 {
		return len(b), nil
	}
	now := time.Now()
	if fresh {
		a.interval = a.r.config.RetransmitInitial
		a.flightSince = now
	}
	a.due = now.Add(a.interval)
	if a.lastFlight() {
		a.due = time.Time{} // the client asks for it when it needs it again
	}
	a.sentAt = now
	a.setAlarm()
	a.send(datagram)
	return len(b), nil
}

// prime lets the stack take the cookie that was given out in its place, and
// gives it the ClientHello that brought it back.
func (a *attempt) prime() {
	a.primed = true
	if err := setCookie(a.conn, a.hello.Cookie); err != nil {
		a.failLocked(&localError{err})
		return
	}
	a.in = append(append([][]byte{}, a.hello.Datagrams...), a.in...)
	a.signal()
}

// plain is the record of the stack without protection. Alerts of a failing
// handshake are unprotected, and some peers die of them: they go out only when
// this end refuses the peer or, as a server, cannot agree with its ClientHello.
func (a *attempt) plain(record []byte) (outRecord, bool) {
	o := outRecord{typ: record[0], epoch: recordEpoch(record)}
	if o.epoch == 0 {
		o.body = append([]byte(nil), record[headerSize:]...)
		if o.typ == typeHandshake && !a.r.config.IsClient {
			eachMessage(o.body, func(msg byte, length, offset int, fragment []byte) {
				if msg == msgServerHello {
					a.serverHello.add(length, offset, fragment)
				}
			})
		}
		if o.typ == typeAlert {
			_, refused := a.err.(*RefusedError)
			return o, refused || a.hello != nil && len(a.flight) == 0
		}
		return o, true
	}
	if a.protection == nil {
		return o, false
	}
	if o.typ == typeAlert && len(record) == headerSize+2 {
		o.body = append([]byte(nil), record[headerSize:]...) // the stack leaves it bare
		return o, true
	}
	var err error
	o.body, err = a.protection.openOwn(record)
	return o, err == nil
}

// beginsFlight says whether a record is the first one of a flight, new or sent again.
func (a *attempt) beginsFlight(o outRecord) bool {
	if o.epoch != 0 {
		return false
	}
	if o.typ == typeChangeCipherSpec {
		return !a.r.config.IsClient
	}
	if len(o.body) < messageHeader || o.body[6]|o.body[7]|o.body[8] != 0 {
		return false
	}
	switch o.body[0] {
	case msgClientHello, msgServerHello:
		return true
	case msgCertificate:
		return a.r.config.IsClient
	case msgClientKeyExchange:
		return a.helloFlight()
	}
	return false
}

// helloFlight says whether the last flight is a ClientHello.
func (a *attempt) helloFlight() bool {
	return len(a.flight) > 0 && len(a.flight[0].body) > 0 && a.flight[0].typ == typeHandshake && a.flight[0].body[0] == msgClientHello
}

// lastFlight says whether it is the handshake's last one.
func (a *attempt) lastFlight() bool {
	return !a.r.config.IsClient && len(a.flight) > 0 && a.flight[0].typ == typeChangeCipherSpec
}

// number appends a record with the next number of its epoch.
func (a *attempt) number(dst []byte, o outRecord) ([]byte, bool) {
	if o.epoch == 0 {
		var header [headerSize]byte
		putHeader(header[:], o.typ, 0, a.sequence, len(o.body))
		a.sequence++
		return append(append(dst, header[:]...), o.body...), true
	}
	dst, err := a.protection.seal(dst, o.typ, o.body)
	if err != nil {
		a.failLocked(&localError{err})
		return dst, false
	}
	return dst, true
}

// sendFlight sends the last flight again, with fresh record numbers: a peer
// takes the old ones for replays, also when it has lost its answer.
func (a *attempt) sendFlight() {
	var datagram []byte
	for _, o := range a.flight {
		n := headerSize + len(o.body)
		if o.epoch != 0 {
			n += overhead
		}
		if len(datagram) > 0 && len(datagram)+n > a.r.config.MTU {
			a.send(datagram)
			datagram = nil
		}
		var ok bool
		if datagram, ok = a.number(datagram, o); !ok {
			return
		}
	}
	if len(datagram) > 0 {
		a.send(datagram)
	}
	a.sentAt = time.Now()
}

// send gives a datagram to the network, past the guard.
func (a *attempt) send(datagram []byte) { a.r.send(a.guard.Out(datagram)) }

// Close ends the transport.
func (a *attempt) Close() error {
	a.mu.Lock()
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.signal()
	a.mu.Unlock()
	return nil
}

// LocalAddr is of no use.
func (a *attempt) LocalAddr() net.Addr { return memoryAddr{} }

// SetDeadline sets the read deadline: writing never waits.
func (a *attempt) SetDeadline(t time.Time) error { return a.SetReadDeadline(t) }

// SetReadDeadline ends a ReadFrom when t is past. The stack uses it only so,
// to cancel, and with a zero time to go on.
func (a *attempt) SetReadDeadline(t time.Time) error {
	a.mu.Lock()
	a.expired = !t.IsZero() && !t.After(time.Now())
	a.signal()
	a.mu.Unlock()
	return nil
}

// SetWriteDeadline does nothing: writing never waits.
func (a *attempt) SetWriteDeadline(time.Time) error { return nil }
