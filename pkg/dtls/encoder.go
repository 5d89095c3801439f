// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"errors"
	"fmt"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

const (
	queuePackets = 64
	queueBytes   = 256 << 10

	stopSend   = 200 * time.Millisecond // for the close_notify of Stop
	stopBlocks = 2 * time.Second        // for a Send that Unblock should have ended
)

// Encoder is the sending side of a connection.
type Encoder struct {
	c       *Connection
	owner   string
	handler EncoderHandler
	calls   dispatcher

	// Guarded by c.mu.
	started      bool
	gone         bool
	config       EncoderConfig
	pending      [][]byte // written before the handshake was complete
	pendingBytes int
	sendError    error       // of the last Send
	lonely       *time.Timer // ends the wait for a decoder after Start
}

func newEncoder(c *Connection, owner string, h EncoderHandler) *Encoder {
	e := &Encoder{c: c, owner: owner, handler: h}
	e.calls.init()
	e.calls.where = "a callback of a DTLS encoder"
	e.calls.maxPackets, e.calls.maxBytes = queuePackets, queueBytes
	e.calls.onPanic = c.panicked
	e.calls.deliver = e.deliver
	return e
}

// deliver gives a datagram to the network.
func (e *Encoder) deliver(p []byte) {
	if e.handler.Send == nil {
		return
	}
	err := e.handler.Send(p)
	e.c.mu.Lock()
	e.sendError = err
	e.c.mu.Unlock()
	if err != nil {
		e.calls.dropPackets()
	}
}

// check gives the config its defaults.
func (cfg EncoderConfig) check() (EncoderConfig, error) {
	if cfg.MTU == 0 {
		cfg.MTU = 1200
	}
	if cfg.MTU < 256 || cfg.MTU > 65507 {
		return cfg, fmt.Errorf("mtu %d: it must be 256 to 65507 bytes", cfg.MTU)
	}
	if cfg.RetransmitInitial == 0 {
		cfg.RetransmitInitial = 100 * time.Millisecond
	}
	if cfg.RetransmitMax == 0 {
		cfg.RetransmitMax = max(2*time.Second, cfg.RetransmitInitial)
	}
	switch {
	case cfg.RetransmitInitial < time.Millisecond:
		return cfg, fmt.Errorf("retransmit-initial %v: it must be at least 1 ms", cfg.RetransmitInitial)
	case cfg.RetransmitMax < cfg.RetransmitInitial:
		return cfg, fmt.Errorf("retransmit-max %v is shorter than retransmit-initial %v", cfg.RetransmitMax, cfg.RetransmitInitial)
	case cfg.HandshakeTimeout < 0:
		return cfg, fmt.Errorf("handshake-timeout %v: it must be 0 (for ever) or longer", cfg.HandshakeTimeout)
	case cfg.PeerTimeout < 0:
		return cfg, fmt.Errorf("peer-timeout %v: it must be 0 (off) or longer", cfg.PeerTimeout)
	}
	seen := map[srtp.Profile]bool{}
	var profiles []srtp.Profile
	for _, p := range cfg.Profiles {
		if p.KeyLen() == 0 {
			return cfg, fmt.Errorf("SRTP profile 0x%04x is not known", uint16(p))
		}
		if !seen[p] {
			seen[p] = true
			profiles = append(profiles, p)
		}
	}
	cfg.Profiles = profiles
	return cfg, nil
}

// Start lets the connection shake hands: at once if a decoder is open, else
// as soon as one is.
func (e *Encoder) Start(config EncoderConfig) error {
	config, err := config.check()
	if err != nil {
		return err
	}
	c := e.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.gone:
		return ErrClosed
	case e.started:
		return fmt.Errorf("connection-id %q: its encoder is started already", c.id)
	}
	e.started = true
	e.config = config
	e.sendError = nil
	e.calls.open()
	c.begin()
	if c.run == nil && config.HandshakeTimeout > 0 {
		e.lonely = time.AfterFunc(config.HandshakeTimeout, e.lonelyTimeout)
	}
	return nil
}

// lonelyTimeout fails an encoder that no decoder has joined.
func (e *Encoder) lonelyTimeout() {
	c := e.c
	defer safe.Recover("a DTLS timer", c.panicked)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !e.started || e.lonely == nil {
		return
	}
	e.lonely = nil
	c.setState(StateFailed)
	err := &TimeoutError{What: fmt.Sprintf("no decoder with the connection-id %q came within %v, so there is no DTLS handshake: "+
		"give this encoder's decoder the same connection-id, and start it", c.id, e.config.HandshakeTimeout)}
	e.calls.post(func() {
		if e.handler.Error != nil {
			e.handler.Error(err)
		}
	})
}

// joined ends the wait for a decoder. c.mu is held.
func (e *Encoder) joined() {
	if e.lonely != nil {
		e.lonely.Stop()
		e.lonely = nil
	}
}

// Write sends one record of application data. Before the handshake is complete
// the data is held, up to 64 pieces and 256 KiB. It waits only for room in the
// send queue. p is not kept.
func (e *Encoder) Write(p []byte) error {
	if len(p) > maxPlaintext {
		return fmt.Errorf("%w: %d", ErrTooLong, len(p))
	}
	c := e.c
	for waited := false; ; waited = true {
		c.mu.Lock()
		r := c.run
		switch {
		case e.gone:
			c.mu.Unlock()
			return ErrClosed
		case !e.started:
			c.mu.Unlock()
			return ErrNotStarted
		case c.state == StateFailed:
			c.mu.Unlock()
			return ErrFailed
		case r != nil && (r.closed || r.closing):
			c.mu.Unlock()
			return ErrClosed
		case len(p) == 0:
			c.mu.Unlock()
			return nil
		case r == nil || r.session == nil:
			err := e.keep(p)
			c.mu.Unlock()
			return err
		case waited:
			// The room is this call's only until another Write comes between;
			// the queue takes that little more.
			err := e.sendError
			e.sendError = nil
			r.session.write(p)
			c.mu.Unlock()
			return err
		}
		c.mu.Unlock()
		if err := e.calls.waitRoom(); err != nil {
			if errors.Is(err, ErrQueueFull) {
				c.counters.drop(wire.DropQueueFull)
			}
			return err
		}
	}
}

// keep holds data for the end of the handshake. c.mu is held.
func (e *Encoder) keep(p []byte) error {
	if len(e.pending) >= queuePackets || e.pendingBytes+len(p) > queueBytes {
		e.c.counters.drop(wire.DropBeforeKey)
		return ErrBeforeHandshake
	}
	e.pending = append(e.pending, append([]byte(nil), p...))
	e.pendingBytes += len(p)
	return nil
}

// dropPending gives up what was held for a handshake that does not come. c.mu is held.
func (e *Encoder) dropPending() {
	for range e.takePending() {
		e.c.counters.drop(wire.DropBeforeKey)
	}
}

func (e *Encoder) takePending() [][]byte {
	p := e.pending
	e.pending, e.pendingBytes = nil, 0
	return p
}

// Interrupt makes a Write that waits, and every one that would, return
// ErrInterrupted while on.
func (e *Encoder) Interrupt(on bool) { e.calls.interrupt(on) }

// CloseNotify sends what is queued and then close_notify. The callback Closed
// follows, a second later at most. If the handshake is not complete and data
// is held for it, that second is also its time limit.
func (e *Encoder) CloseNotify() {
	c := e.c
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.run
	if r == nil {
		if e.started {
			e.dropPending()
			e.calls.post(func() {
				if e.handler.Closed != nil {
					e.handler.Closed()
				}
			})
		}
		return
	}
	if r.closing {
		return
	}
	r.closing = true
	switch {
	case r.session != nil:
		r.session.sendCloseNotify()
	case r.closed || len(e.pending) == 0:
		r.finishClosing()
		return
	}
	r.after(closeWait, func() {
		if r.closing {
			r.finishClosing()
		}
	})
}

// Stop ends the session: close_notify goes through Send, for which there are
// 200 ms, the state becomes closed, and no callback of the encoder comes or is
// under way when it returns. Called from inside a callback it does not wait
// for that one, nor for one that waits for it.
func (e *Encoder) Stop() {
	c := e.c
	c.mu.Lock()
	if !e.started {
		c.mu.Unlock()
		return
	}
	e.started = false
	e.joined()
	e.dropPending()
	c.end()
	c.mu.Unlock()
	if !e.calls.drain(stopSend) && e.handler.Unblock != nil {
		e.handler.Unblock()
	}
	if !e.calls.shut(stopBlocks) {
		logf(LogWarning, "connection-id %q: a callback of %s has not returned %v after Stop", c.id, e.owner, stopBlocks)
	}
}

// Close stops the encoder and gives up the side.
func (e *Encoder) Close() {
	e.Stop()
	c := e.c
	c.mu.Lock()
	if e.gone {
		c.mu.Unlock()
		return
	}
	e.gone = true
	c.enc = nil
	c.mu.Unlock()
	release(c)
}

// Connection is what the encoder shares with the decoder.
func (e *Encoder) Connection() *Connection { return e.c }
