// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	connectPatience = 10 * time.Second // for the transport, and again for CONNACK
	closePatience   = adapters.AckTimeout
	closeLimit      = closePatience + closePatience/2 // with what was being written when Close was called
	goodSession     = 10 * time.Second                // a session that has lasted this long was a good one
	renewPatience   = 5 * time.Second                 // for answers before a connection is renewed
	takeoverPause   = 2 * time.Second                 // at least, when another client uses our name
	soloAfter       = 3                               // sessions that ended on the same message: then it is sent alone …
	refuseAfter     = 6                               // … and then refused
	maxIncoming     = 16 << 20                        // the largest packet that is taken
	maxControl      = 4 << 20                         // of acknowledgements that the server does not read
	writeChunk      = 64 << 10
	readChunk       = 64 << 10
)

// stuckAfter is how long a connection may answer pings and no message. Tests shorten it.
var stuckAfter = 90 * time.Second

var (
	errRenew   = errors.New("the connection is renewed")
	errGoodbye = errors.New("the connection is closed")
)

// A stageError is a failure at one stage of making a connection.
type stageError struct {
	stage string
	err   error
}

func (e *stageError) Error() string { return e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

// TLSError marks an error of the TLS handshake for Dial.
func TLSError(err error) error { return &stageError{stageTLS, err} }

// A codeError is what the server says before it hangs up.
type codeError struct {
	code    byte
	said    string
	connect bool // in CONNACK
}

func (e *codeError) Error() string { return explain(e.code, e.said) }

// A session is one connection. Its fields are under Conn.mu but for those that one goroutine uses alone.
type session struct {
	c        *Conn
	nc       net.Conn
	version  Version
	ack      connack
	done     chan struct{} // closed at the end
	cause    error         // the first that went wrong
	qos      byte          // of what is published
	window   int
	inflight int
	limit    int // the largest packet that the server takes; 0: none
	resumed  bool
	renew    bool // send nothing new, and start again when all is answered
	ending   bool // a goodbye was asked for
	endAs    error
	endBy    time.Time // of a goodbye that Close has asked for
	readDone chan struct{}
	renewAt  time.Time
	keep     time.Duration
	progress bool // the server has acknowledged something
	sent     bool // something was published
	answered time.Time
	paused   bool // the reader waits for the receiver
	began    time.Time
}

// attempts is what run remembers between sessions.
type attempts struct {
	n       int
	version Version // what Auto has come to; 0: not yet
	silent  int     // connections in a row that ended without CONNACK
	strikes int     // sessions in a row that ended without an answer to what was published
	known   bool    // a session was had: the next one goes on with it
}

// run makes connections until Close.
func (c *Conn) run() {
	var a attempts
	for {
		began := time.Now()
		err := c.session(&a)
		c.mu.Lock()
		over := c.closing || c.failed != nil
		c.mu.Unlock()
		if over {
			return
		}
		if errors.Is(err, errRenew) {
			a.n = 0
			continue
		}
		takeover := false
		var ce *codeError
		if errors.As(err, &ce) {
			takeover = ce.code == codeTakenOver
		}
		if time.Since(began) > goodSession && !takeover {
			a.n = 0
		}
		a.n++
		pause := c.pause(a.n)
		if takeover {
			pause = max(pause, takeoverPause+rand.N(takeoverPause))
		}
		c.sink.State(adapters.StateEvent{State: adapters.Disconnected, Host: c.o.Info.Host, Reason: c.reason(err), Time: time.Now(),
			Attempt: a.n, Next: pause})
		timer := time.NewTimer(pause)
		select {
		case <-c.ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pause is how long to wait after n failures, between half and one and a half of the doubled interval.
func (c *Conn) pause(n int) time.Duration {
	d := c.o.RetryInterval
	for ; n > 1 && d < c.o.MaxRetry; n-- {
		d *= 2
	}
	d = max(min(d, c.o.MaxRetry), time.Millisecond)
	return d/2 + rand.N(d)
}

// reason words the end of a session.
func (c *Conn) reason(err error) string {
	var ce *codeError
	var se *stageError
	text := ""
	switch {
	case errors.As(err, &ce) && ce.connect:
		if c.o.Explain != nil {
			text = c.o.Explain(ce.code)
		}
		if text == "" {
			text = "the server refuses the connection: " + ce.Error()
		}
	case errors.As(err, &ce) && ce.code == codeTakenOver:
		text = fmt.Sprintf("another client has connected with our client-id %q, and the server keeps one of the two (MQTT reason 0x8e); "+
			"give each client a client-id of its own", c.o.ClientID)
	case errors.As(err, &ce):
		text = "the server ended the connection: " + ce.Error()
	case errors.As(err, &se):
		text = networkReason(se.err, se.stage)
	default:
		text = networkReason(err, stageOpen)
	}
	if text == errClosed.Error() {
		if c.o.LostHint != "" {
			text += "; " + c.o.LostHint
		} else {
			text += fmt.Sprintf("; if this happens again and again: is there another client with our client-id %q? The server's log may say more", c.o.ClientID)
		}
	}
	return c.o.Mask(text)
}

// session makes one connection and serves it to its end, whose cause it returns.
func (c *Conn) session(a *attempts) error {
	s := &session{c: c, done: make(chan struct{}), readDone: make(chan struct{}), version: c.o.Version, began: time.Now()}
	if s.version == Auto {
		if s.version = a.version; s.version == Auto {
			s.version = V5
			if a.silent >= 2 && a.silent%2 == 0 { // some servers just hang up on a version that they do not know
				s.version = V311
			}
		}
	}
	rest, err := s.connect(a)
	if err != nil {
		if s.nc != nil {
			_ = s.nc.Close()
		}
		return err
	}
	if c.begin(s, a) {
		c.sink.State(adapters.StateEvent{State: adapters.Connected, Host: c.o.Info.Host, Time: time.Now()})
	}
	safe.Go(&c.wg, c.o.Facility+" writer to "+c.o.Info.Host, c.panicked, func() {
		defer close(s.done)
		s.write()
	})
	err = s.read(rest)
	close(s.readDone)
	if s.leaving() {
		<-s.done // the writer says goodbye: without the connection the last acknowledgements would be lost
	}
	s.fail(err)
	c.mu.Lock()
	c.s = nil
	c.cond.Broadcast()
	c.mu.Unlock()
	c.wakeWriter()
	<-s.done
	return c.end(s, a)
}

// connect dials and greets. What came after CONNACK is returned.
func (s *session) connect(a *attempts) (rest []byte, err error) {
	c := s.c
	ctx, cancel := context.WithTimeout(c.ctx, connectPatience)
	defer cancel()
	cred := Credentials{}
	if c.o.Credentials != nil {
		if cred, err = c.o.Credentials(ctx); err != nil {
			return nil, err
		}
	}
	if s.nc, err = c.o.Dial(ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w", os.ErrDeadlineExceeded)
		}
		var se *stageError
		if !errors.As(err, &se) {
			err = &stageError{stageDial, err}
		}
		return nil, err
	}
	stop := context.AfterFunc(c.ctx, func() { _ = s.nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = s.nc.SetDeadline(time.Now().Add(connectPatience))
	if c.ctx.Err() != nil {
		return nil, errGoodbye
	}
	p := connectPacket{version: s.version, clientID: c.o.ClientID, cred: cred, keepAlive: uint16(c.o.KeepAlive / time.Second),
		sessionExpiry: expiry(c.o.SessionExpiry), receiveMax: c.receiveMax(), maxPacket: maxIncoming, will: c.o.Will}
	p.clean = c.o.CleanStart && (s.version == V311 || !a.known)
	s.keep, s.renewAt = c.o.KeepAlive, cred.Until
	if _, err = s.nc.Write(p.append(nil)); err != nil {
		return nil, &stageError{stageConnect, err}
	}
	buf := make([]byte, 0, 512)
	for {
		if len(buf) > 64<<10 || (len(buf) > 0 && buf[0]>>4 != typeConnack) {
			return nil, notMQTT(buf)
		}
		_, body, size, err := frame(buf, maxIncoming)
		if err == nil {
			rest := append([]byte(nil), buf[size:]...)
			return rest, s.connack(body, a)
		}
		if err != errMore {
			return nil, notMQTT(buf)
		}
		buf = append(buf, make([]byte, 512)...)
		n, err := s.nc.Read(buf[len(buf)-512:])
		buf = buf[:len(buf)-512+n]
		if err != nil && n == 0 {
			if len(buf) == 0 && !errors.Is(err, os.ErrDeadlineExceeded) && c.o.Version == Auto {
				a.silent++
			}
			return nil, &stageError{stageConnect, err}
		}
	}
}

// notMQTT words the first bytes of a server that speaks something else.
func notMQTT(b []byte) error {
	text := string(b[:min(len(b), 16)])
	switch {
	case strings.HasPrefix(text, "\x15\x03"):
		return errors.New("the server speaks TLS on this port; set tls=true (or enable-tls=1), or use mqtts://")
	case strings.HasPrefix(text, "HTTP/"):
		return errors.New("the server speaks HTTP on this port; use ws:// or wss:// for MQTT over WebSocket, or correct the port")
	}
	return fmt.Errorf("the server does not speak MQTT on this port: it answers with %q; check host and port", text)
}

func expiry(d time.Duration) uint32 {
	return uint32(min(d/time.Second, 1<<32-1))
}

func (c *Conn) receiveMax() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sub.Window > 0 {
		return uint16(min(c.sub.Window, maxString))
	}
	return adapters.DefaultWindow
}

// connack takes the server's answer to CONNECT.
func (s *session) connack(body []byte, a *attempts) error {
	v := s.version
	if len(body) == 2 { // also the answer of a 3.1.1 server to a version that it does not know
		v = V311
	}
	ack, err := parseConnack(body, v)
	if err != nil {
		return err
	}
	a.silent = 0
	if ack.code == 0 {
		s.ack = ack
		return nil
	}
	if v == V311 {
		if known, ok := connect311[ack.code]; ok {
			ack.code = known
		}
	}
	if ack.code == codeBadVersion && s.version == V5 && s.c.o.Version == Auto {
		a.version = V311
		s.c.log(adapters.LogInfo, "%s speaks MQTT 3.1.1: headers, message expiry and consumer groups are not available", s.c.o.Info.Host)
		return errRenew
	}
	return &codeError{ack.code, ack.reason, true}
}

// begin puts a session in place.
func (c *Conn) begin(s *session, a *attempts) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ack := &s.ack
	s.qos, s.limit = min(c.o.QoS, ack.maxQoS), ack.maxPacket
	s.window = c.o.MaxInflight
	switch {
	case s.window > 0:
	case s.version == V311 && s.qos == 2:
		s.window = DefaultMaxInflight2
	default:
		s.window = DefaultMaxInflight
	}
	s.window = min(s.window, ack.receiveMax, maxSent)
	if a.strikes >= soloAfter {
		s.window = 1
	}
	if ack.keepAlive >= 0 {
		s.keep = time.Duration(ack.keepAlive) * time.Second
	}
	if ack.assignedID != "" {
		c.o.ClientID = ack.assignedID
	}
	if !a.known {
		if s.qos < c.o.QoS {
			c.logLater(adapters.LogWarning, "%s supports QoS %d at most: messages are published with that instead of qos=%d", c.o.Info.Host, s.qos, c.o.QoS)
		}
		if ack.noRetain && c.o.Retain {
			c.logLater(adapters.LogWarning, "%s keeps no retained messages: retain=1 has no effect", c.o.Info.Host)
		}
		if s.version == V311 && len(c.fixedProps) > 0 {
			c.logLater(adapters.LogWarning, "%s speaks MQTT 3.1.1, which has no message expiry, content type, response topic and user properties: they are left out",
				c.o.Info.Host)
		}
	}
	c.noRetain = ack.noRetain
	s.resumed = a.known
	a.known = true
	under := c.q.sent
	c.q.rewind(ack.present)
	c.control = c.control[:0]
	if ack.present && s.qos == 2 {
		c.releaseOld(under, !s.resumed)
	}
	if ack.present {
		c.rx.resume()
	} else {
		c.rx.forget()
	}
	clear(c.requests)
	clear(c.leaving)
	c.s = s
	s.answered = time.Now()
	if !ack.present {
		c.parked, c.dropped = nil, nil
	}
	c.unsubscribeLocked()
	c.subscribeLocked()
	if c.closing {
		s.goodbye()
		return false
	}
	return true
}

// releaseOld makes the server let go of messages of QoS 2 that nobody but it remembers: those of an earlier
// process (foreign), and, when the server has lost the newest state of a session, those that we have
// settled. They would fill its receive maximum for ever, and be taken for new messages with their
// identifiers. under is how many of our own were under way.
func (c *Conn) releaseOld(under int, foreign bool) {
	used := c.q.first
	if foreign {
		used = publishIDs
	}
	for id := range min(used, publishIDs) {
		// the distance from the first that is under way, in the order of the identifiers
		if d := (id + publishIDs - c.q.first%publishIDs) % publishIDs; foreign || d >= uint64(under) {
			c.control = appendAck(c.control, typePubrel, uint16(id)+1, 0)
		}
	}
}

// end draws the conclusions from a session.
func (c *Conn) end(s *session, a *attempts) error {
	c.mu.Lock()
	cause := s.cause
	blamed := s.sent && !s.progress && s.qos > 0 && !s.ending && c.q.n > 0 && blames(cause)
	switch {
	case s.progress:
		a.strikes = 0
	case blamed:
		a.strikes++
	}
	var results []adapters.Result
	if a.strikes >= refuseAfter {
		a.strikes, a.n = 0, 0
		e := c.q.at(0)
		results = c.settle(results, 0, &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: string(e.topic()), Host: c.o.Info.Host,
			Cause:  fmt.Sprintf("the server closed the connection each of the %d times that this message of %d bytes was sent", refuseAfter, len(e.payload())),
			Remedy: "check topic and size against what the server allows; its log may say more"})
		c.q.shift()
	}
	c.mu.Unlock()
	c.done(results)
	return cause
}

// blames reports that the end of a session may be due to what we have sent.
func blames(err error) bool {
	var ce *codeError
	if errors.As(err, &ce) {
		return ce.code == 0x81 || ce.code == 0x82 || ce.code == codeNotAuthorised || ce.code == codeTopicInvalid || ce.code == codeTooLarge ||
			ce.code == 0x99 || ce.code == 0x9a || ce.code == 0x9b
	}
	return networkReason(err, stageOpen) == errClosed.Error()
}

// fail ends a session; the first cause counts.
func (s *session) fail(err error) {
	s.c.mu.Lock()
	if s.cause == nil {
		s.cause = err
	}
	s.c.cond.Broadcast()
	s.c.mu.Unlock()
	_ = s.nc.Close()
}

// leaving reports that it is the writer that ends the session.
func (s *session) leaving() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.ending
}

// goodbye asks the writer to end the session; under Conn.mu.
func (s *session) goodbye() {
	s.ending, s.endAs, s.endBy = true, errGoodbye, time.Now().Add(closeLimit)
	_ = s.nc.SetDeadline(time.Now().Add(closePatience))
}

// settle gives entry i its final word.
func (c *Conn) settle(results []adapters.Result, i int, err error) []adapters.Result {
	e := c.q.at(i)
	if e.stage == settled {
		return results
	}
	e.stage = settled
	if e.own {
		c.replies--
		if err != nil {
			c.logLater(adapters.LogWarning, "an answer was not taken: %v", err)
		}
		return results
	}
	return append(results, adapters.Result{Seq: e.seq, Err: err})
}
