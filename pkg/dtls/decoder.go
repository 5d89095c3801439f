// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
)

const (
	dataPackets = 1024
	dataBytes   = 4 << 20
)

// Decoder is the receiving side of a connection.
type Decoder struct {
	c       *Connection
	owner   string
	handler DecoderHandler
	calls   dispatcher

	gone bool // guarded by c.mu

	configMu sync.Mutex
	config   DecoderConfig
}

func newDecoder(c *Connection, owner string, config DecoderConfig, h DecoderHandler) *Decoder {
	d := &Decoder{c: c, owner: owner, config: config, handler: h}
	d.calls.init()
	d.calls.where = "a callback of a DTLS decoder"
	d.calls.maxPackets, d.calls.maxBytes = dataPackets, dataBytes
	d.calls.onPanic = c.panicked
	d.calls.deliver = func(p []byte) {
		if d.handler.Data != nil {
			d.handler.Data(p)
		}
	}
	d.calls.open()
	c.warned = false
	return d
}

// Receive takes one datagram. It does not block and does not keep it. Before
// the encoder is started the newest 32 datagrams (64 KiB) are kept. What is
// wrong with a datagram is counted, not returned.
func (d *Decoder) Receive(datagram []byte) error {
	c := d.c
	c.counters.packetsReceived.Add(1)
	c.counters.bytesReceived.Add(uint64(len(datagram)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.gone {
		return ErrClosed
	}
	if c.run == nil {
		c.hold(datagram)
		return nil
	}
	c.run.receive(datagram)
	return nil
}

// Drain waits until what was received has been delivered, at most timeout.
func (d *Decoder) Drain(timeout time.Duration) bool {
	return d.calls.drainUnlessMine(timeout)
}

// Alive says that a packet outside DTLS, as of SRTP, has authenticated: the
// peer lives (see PeerTimeout). It costs nothing worth counting.
func (d *Decoder) Alive() {
	if !d.c.alive.Load() {
		d.c.alive.Store(true)
	}
}

// Identity is this end's certificate and key, generated now if the config has
// none.
func (d *Decoder) Identity() (*identity.Identity, error) {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if d.config.Identity == nil {
		id, err := identity.Generate()
		if err != nil {
			return nil, err
		}
		d.config.Identity = id
	}
	return d.config.Identity, nil
}

// Configure replaces the config for handshakes that begin from now on. An
// identity that was generated is kept when the new config has none.
func (d *Decoder) Configure(config DecoderConfig) {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if config.Identity == nil {
		config.Identity = d.config.Identity
	}
	d.config = config
}

func (d *Decoder) configuration() DecoderConfig {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	return d.config
}

func (d *Decoder) verifies() bool {
	c := d.configuration()
	return len(c.Pins) > 0 || c.Verify != VerifyNone || c.Accept != nil
}

// Close gives up the side. A session ends with it, by close_notify. No
// callback of the decoder comes or is under way when it returns; called from
// inside a callback it does not wait for that one, nor for one that waits for it.
func (d *Decoder) Close() {
	c := d.c
	c.mu.Lock()
	if d.gone {
		c.mu.Unlock()
		return
	}
	d.gone = true
	c.end()
	c.dec = nil
	c.held, c.heldBytes = nil, 0
	c.mu.Unlock()
	d.calls.drain(stopSend)
	if !d.calls.shut(stopBlocks) {
		logf(LogWarning, "connection-id %q: a callback of %s has not returned %v after Close", c.id, d.owner, stopBlocks)
	}
	release(c)
}

// Connection is what the decoder shares with the encoder.
func (d *Decoder) Connection() *Connection { return d.c }
