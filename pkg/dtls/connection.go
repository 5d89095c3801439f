// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

const (
	heldDatagrams = 32
	heldBytes     = 64 << 10

	closeWait = time.Second
)

// Connection is what the two sides of a connection-id share.
//
// Locks are taken in the order registry, Connection, attempt, dispatcher. No callback is called with any of them held.
type Connection struct {
	id string

	mu    sync.Mutex
	enc   *Encoder
	dec   *Decoder
	state State

	// run is the time in which both sides are there and the encoder is
	// started; nil outside of it.
	run *run

	held      [][]byte // datagrams that came before the run
	heldBytes int

	keys       *Keys
	generation uint64
	peerPEM    string
	peerPrint  string
	version    uint16
	profile    string
	warned     bool // that nothing verifies the peer
	duration   time.Duration

	counters counters
	alive    atomic.Bool // an authenticated packet came since the last look
}

// counters are what Stats counts; they are touched without the lock.
type counters struct {
	handshakes, retransmissions                            atomic.Uint64
	packetsSent, bytesSent, packetsReceived, bytesReceived atomic.Uint64
	dropped                                                [8]atomic.Uint64
}

func (n *counters) drop(r wire.Reason) {
	if int(r) < len(n.dropped) {
		n.dropped[r].Add(1)
	}
}

func newConnection(id string) *Connection { return &Connection{id: id} }

// setState tells both sides of a new state. c.mu is held.
func (c *Connection) setState(s State) {
	if c.state == s {
		return
	}
	c.state = s
	c.tell(func(h *EncoderHandler) {
		if h.State != nil {
			h.State(s)
		}
	}, func(h *DecoderHandler) {
		if h.State != nil {
			h.State(s)
		}
	})
}

// tell queues a callback on each side. c.mu is held.
func (c *Connection) tell(enc func(*EncoderHandler), dec func(*DecoderHandler)) {
	if e := c.enc; e != nil && enc != nil {
		e.calls.post(func() { enc(&e.handler) })
	}
	if d := c.dec; d != nil && dec != nil {
		d.calls.post(func() { dec(&d.handler) })
	}
}

// tellSoon queues a callback on the decoder that may wait for the next one: a
// wake-up costs more than most callbacks. Within a retransmission's time another
// one comes, or flush. c.mu is held.
func (c *Connection) tellSoon(dec func(*DecoderHandler)) {
	if d := c.dec; d != nil {
		d.calls.postSoon(func() { dec(&d.handler) })
	}
}

// panicked fails the connection after a panic of ours or of a callback.
func (c *Connection) panicked(p *safe.PanicError) {
	logf(LogError, "connection-id %q: %v\n%s", c.id, p, p.Stack)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != nil && !c.run.final {
		c.run.fail(p)
	}
}

// warn queues a warning on the decoder (true) or the encoder. c.mu is held.
func (c *Connection) warn(onDecoder bool, err error) {
	if onDecoder {
		c.tell(nil, func(h *DecoderHandler) {
			if h.Warning != nil {
				h.Warning(err)
			}
		})
		return
	}
	c.tell(func(h *EncoderHandler) {
		if h.Warning != nil {
			h.Warning(err)
		}
	}, nil)
}

// hold keeps a datagram that came before the run, dropping the oldest. c.mu is held.
func (c *Connection) hold(p []byte) {
	if len(p) > heldBytes {
		c.counters.drop(wire.DropQueueFull)
		return
	}
	for len(c.held) >= heldDatagrams || c.heldBytes+len(p) > heldBytes {
		c.heldBytes -= len(c.held[0])
		c.held[0] = nil
		c.held = c.held[1:]
		c.counters.drop(wire.DropQueueFull)
	}
	c.held = append(c.held, append([]byte(nil), p...))
	c.heldBytes += len(p)
}

// State is the connection's state.
func (c *Connection) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Keys are those of the last completed handshake of this run.
func (c *Connection) Keys() (Keys, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		return Keys{}, false
	}
	return *c.keys, true
}

// PeerPEM is the peer's certificate, "" before it came.
func (c *Connection) PeerPEM() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peerPEM
}

// Version is 0xFEFD (DTLS 1.2) once connected, else 0.
func (c *Connection) Version() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// Stats are the connection's counters.
func (c *Connection) Stats() Stats {
	c.mu.Lock()
	s := Stats{
		State: c.state, Version: c.version, Profile: c.profile, PeerFingerprint: c.peerPrint,
		HandshakeDuration: c.duration,
	}
	c.mu.Unlock()
	n := &c.counters
	s.Handshakes, s.Retransmissions = n.handshakes.Load(), n.retransmissions.Load()
	s.PacketsSent, s.BytesSent = n.packetsSent.Load(), n.bytesSent.Load()
	s.PacketsReceived, s.BytesReceived = n.packetsReceived.Load(), n.bytesReceived.Load()
	s.Dropped = map[Reason]uint64{}
	for i := range n.dropped {
		if v := n.dropped[i].Load(); v != 0 {
			s.Dropped[Reason(i)] = v
		}
	}
	return s
}
