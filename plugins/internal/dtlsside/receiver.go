// SPDX-License-Identifier: LGPL-2.1-or-later

package dtlsside

import (
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
)

// The values of verify.
const (
	verifyAuto = iota
	verifyNone
	verifyCA
)

// Verify is the enum of verify.
var Verify = &gst.EnumType{
	Name: "GstEdgeDtlsVerify",
	Values: []gst.EnumValue{
		{Value: verifyAuto, Name: "Verify the chain if ca-file is set", Nick: "auto"},
		{Value: verifyNone, Name: "Do not verify the chain, whatever ca-file says", Nick: "none"},
		{Value: verifyCA, Name: "Verify the chain by ca-file, or by the system's CAs without one", Nick: "ca"},
	},
}

type receiverSettings struct {
	id, pins, caFile, peerName string
	verify                     gst.Enum
	eosOnClose                 bool
}

// Receiver is the decoder's half of a connection, as an element holds it.
type Receiver struct {
	e   *gst.Element
	log *gst.Category

	// What the element does with what the connection gives. They run on a
	// goroutine of the connection, with no lock held. Set before Open.
	Data   func(record []byte) // application data
	Keys   func(dtls.Keys)
	Closed func() // close_notify came

	// Lock order: mu is taken alone. It is never held while the connection or
	// GStreamer is called.
	mu       sync.Mutex
	change   sync.Mutex // makes reconfigure one at a time; before mu
	set      receiverSettings
	ident    *identity.Identity // nil until it is needed
	identErr error              // of the pem that was set
	dec      *dtls.Decoder      // nil below READY
	last     dtls.Stats         // of the connection that was left last
	peerPEM  string
	finished bool // close_notify came, and no session after it
	warned   bool // that nothing verifies the peer, since Open
}

// NewReceiver makes the receiving side of e.
func NewReceiver(e *gst.Element, log *gst.Category) *Receiver {
	return &Receiver{e: e, log: log}
}

// shared is the certificate of every end of the process that was given none, as
// the C plugin has it: webrtcbin refuses media with different fingerprints, and
// takes a decoder for each.
var shared struct {
	sync.Mutex
	ident *identity.Identity
	made  time.Time
}

// sharedFor is how long new ends get the same certificate, which is good for a year.
const sharedFor = 180 * 24 * time.Hour

func sharedIdentity() (*identity.Identity, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.ident == nil || time.Since(shared.made) > sharedFor {
		ident, err := identity.Generate()
		if err != nil {
			return nil, err
		}
		shared.ident, shared.made = ident, time.Now()
	}
	return shared.ident, nil
}

// identity gives the certificate of this end.
func (r *Receiver) identity() (*identity.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ident == nil && r.identErr == nil {
		r.ident, r.identErr = sharedIdentity()
	}
	return r.ident, r.identErr
}

// Open takes the decoder's place on the connection (NULL→READY).
func (r *Receiver) Open() bool {
	r.mu.Lock()
	set := r.set
	r.warned = false
	r.mu.Unlock()
	fail := func(property string, err error) bool {
		r.e.Error(gst.ResourceSettings, r.named(fmt.Errorf("%s: %w", property, err)).Error(), "")
		return false
	}
	if set.id == "" {
		return fail("connection-id", errors.New("not set: give the decoder and its encoder the same, unique connection-id"))
	}
	c, property, err := r.config(set)
	if err != nil {
		return fail(property, err)
	}
	dec, err := dtls.OpenDecoder(set.id, r.e.Name(), c, dtls.DecoderHandler{
		Data: r.Data, State: r.tellState, Keys: r.tellKeys, PeerCertificate: r.tellPeer, Unasked: r.unasked, Closed: r.tellClosed,
		Error:   func(err error) { report(r.e, code(err), r.named(err), false) },
		Warning: func(err error) { report(r.e, code(err), r.named(err), true) },
	})
	if err != nil {
		r.e.Error(gst.ResourceSettings, r.named(err).Error(), "")
		return false
	}
	r.mu.Lock()
	r.dec, r.finished, r.peerPEM = dec, false, ""
	r.mu.Unlock()
	return true
}

// config is what the properties ask of this end and of its peer, or the property
// that is wrong and why.
func (r *Receiver) config(set receiverSettings) (c dtls.DecoderConfig, property string, err error) {
	c = dtls.DecoderConfig{ServerName: set.peerName, Accept: r.accept, Asks: func() bool { return r.e.HasHandler(acceptSignal) }}
	if c.Identity, err = r.identity(); err != nil {
		return c, "pem", err
	}
	if c.Pins, err = identity.ParsePins(set.pins); err != nil {
		return c, "peer-fingerprint", err
	}
	if set.pins != "" && len(c.Pins) == 0 {
		return c, "peer-fingerprint", errors.New("there is no fingerprint in it, so it would verify nobody: " +
			"write it as SDP does, sha-256 AA:BB:…")
	}
	if set.verify == verifyCA || set.verify == verifyAuto && set.caFile != "" {
		c.Verify = dtls.VerifyCA
		if set.caFile != "" {
			c.CAs, err = identity.LoadCAs(set.caFile)
		} else if c.CAs, err = x509.SystemCertPool(); err != nil {
			err = fmt.Errorf("the system's CAs cannot be read (%w): name a file of CA certificates", err)
		}
	}
	return c, "ca-file", err
}

// reconfigure lets what was set in READY or above count for handshakes that are
// judged from now on. A setting that is wrong must not leave the peer unverified:
// nobody is accepted until it is mended.
func (r *Receiver) reconfigure() {
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.Lock()
	set, dec := r.set, r.dec
	r.mu.Unlock()
	if dec == nil {
		return
	}
	c, property, err := r.config(set)
	if err != nil {
		c.Pins, c.Verify = []identity.Pin{{}}, dtls.VerifyNone // the zero Pin matches nobody
	}
	dec.Configure(c)
	if err != nil {
		r.e.Error(gst.ResourceSettings, r.named(fmt.Errorf("%s: %w: until it is mended no peer is accepted", property, err)).Error(), "")
		return
	}
	if dec.Connection().State() == dtls.StateConnected {
		r.log.Log(gst.LevelWarning, r.e, "what was set about certificates counts for the next handshake: the present one is complete")
	}
}

func (r *Receiver) named(err error) error { return fmt.Errorf("%s: %w", r.e.Name(), err) }

// Close gives the decoder's place up (READY→NULL).
func (r *Receiver) Close() {
	r.mu.Lock()
	dec := r.dec
	r.dec = nil
	r.mu.Unlock()
	if dec == nil {
		return
	}
	st := dec.Connection().Stats()
	dec.Close()
	r.mu.Lock()
	r.last = st
	r.mu.Unlock()
}

// Receive takes a datagram from the network, on the streaming thread; it never
// blocks. What it answers goes upstream.
func (r *Receiver) Receive(datagram []byte) gst.FlowReturn {
	dec := r.decoder()
	if dec == nil {
		return gst.FlowFlushing
	}
	if err := dec.Receive(datagram); err != nil {
		r.log.Log(gst.LevelDebug, r.e, "datagram of %d bytes: %v", len(datagram), err)
	}
	if r.Finished() {
		return gst.FlowEOS
	}
	return gst.FlowOK
}

// ReceiveBuffer is Receive for a buffer, which it takes over.
func (r *Receiver) ReceiveBuffer(b gst.Buffer) gst.FlowReturn {
	defer b.Unref()
	ret := gst.FlowOK
	if !b.Map(func(data []byte) { ret = r.Receive(data) }) {
		r.e.Error(gst.ResourceRead, r.e.Name()+": the memory of a buffer cannot be read", "")
		return gst.FlowError
	}
	return ret
}

// drainTimeout bounds how long EOS waits for what was received before it.
const drainTimeout = time.Second

// Drain waits until the records that came before are delivered.
func (r *Receiver) Drain() {
	if dec := r.decoder(); dec != nil {
		dec.Drain(drainTimeout)
	}
}

// Alive tells that a packet of SRTP has authenticated: the peer lives.
func (r *Receiver) Alive() {
	if dec := r.decoder(); dec != nil {
		dec.Alive()
	}
}

// Finished reports whether the peer has closed and eos-on-close asks to end the
// stream by that.
func (r *Receiver) Finished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.finished && r.set.eosOnClose
}

func (r *Receiver) decoder() *dtls.Decoder {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dec
}

// What the connection calls.

const acceptSignal = "accept-peer-certificate"

// accept asks the application.
func (r *Receiver) accept(pem string) bool {
	if !r.e.HasHandler(acceptSignal) { // it has gone
		r.unasked()
		return true
	}
	ok, _ := r.e.Emit(acceptSignal, pem).(bool)
	return ok
}

// unasked: nobody is there to ask, so the peer is who it says it is, and the
// user is told so once.
func (r *Receiver) unasked() {
	r.mu.Lock()
	tell := r.set.pins == "" && r.set.caFile == "" && r.set.verify == verifyAuto && !r.warned
	r.warned = r.warned || tell
	r.mu.Unlock()
	if tell {
		r.e.Warning(gst.ResourceNotAuthorized, r.e.Name()+": nothing verifies who the peer is, so anyone who can send to this "+
			"port may be it: set peer-fingerprint or ca-file, or connect to the signal "+acceptSignal+"; verify=none says that it is meant so", "")
	}
}

func (r *Receiver) tellState(st dtls.State) {
	if st == dtls.StateConnecting || st == dtls.StateConnected {
		r.mu.Lock()
		r.finished = false
		r.mu.Unlock()
	}
	r.e.Notify("connection-state")
}

func (r *Receiver) tellKeys(k dtls.Keys) {
	if r.Keys != nil {
		r.Keys(k)
	}
}

func (r *Receiver) tellPeer(pem string) {
	r.mu.Lock()
	r.peerPEM = pem
	r.mu.Unlock()
	r.e.Notify("peer-pem")
}

func (r *Receiver) tellClosed() {
	r.mu.Lock()
	r.finished = true
	r.mu.Unlock()
	if r.Closed != nil {
		r.Closed()
	}
}

// Getters of properties.

// connection is nil below READY; then last is what there is to tell.
func (r *Receiver) connection() (c *dtls.Connection, last dtls.Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dec != nil {
		return r.dec.Connection(), last
	}
	return nil, r.last
}

// IsOpen reports whether the element holds the decoder's place.
func (r *Receiver) IsOpen() bool { return r.decoder() != nil }

func (r *Receiver) pem() string {
	id, err := r.identity()
	if err != nil {
		return ""
	}
	return id.CertificatePEM()
}

func (r *Receiver) setPEM(pem string) {
	var id *identity.Identity
	var err error
	if pem != "" {
		id, err = identity.Parse(pem)
	}
	r.mu.Lock()
	r.ident, r.identErr = id, err
	r.mu.Unlock()
	if err != nil {
		// The setter cannot refuse; NULL→READY does.
		r.log.Log(gst.LevelError, r.e, "pem: %v", err)
	}
	r.reconfigure()
}

// peer is the peer's certificate: that of the connection, which knows it before we are told.
func (r *Receiver) peer() string {
	r.mu.Lock()
	dec, pem := r.dec, r.peerPEM
	r.mu.Unlock()
	if dec != nil {
		if now := dec.Connection().PeerPEM(); now != "" {
			return now
		}
	}
	return pem
}
