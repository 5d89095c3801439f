// SPDX-License-Identifier: LGPL-2.1-or-later

package dtlsside

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
)

// Defaults of the encoder's own properties.
const (
	defaultMTU               = 1200
	defaultRetransmitInitial = 100   // ms
	defaultRetransmitMax     = 2000  // ms
	defaultHandshakeTimeout  = 30000 // ms
)

type senderSettings struct {
	id, profiles                        string
	client                              bool
	mtu, first, max, timeout, peerAfter uint32
}

// Sender is the encoder's half of a connection, as an element holds it.
type Sender struct {
	e   *gst.Element
	log *gst.Category

	// What the element does with what the connection gives. They run on a
	// goroutine of the connection, with no lock held. Set before Open.
	Output func(datagram []byte) gst.FlowReturn // to the network
	// Unblock ends an Output that downstream blocks: the element is stopping.
	Unblock func()
	Keys    func(dtls.Keys)
	Closed  func() // both directions are closed
	// Reconnected is told when a new session begins after one that was closed.
	Reconnected func()

	// Lock order: mu is taken alone. It is never held while the connection or
	// GStreamer is called.
	mu    sync.Mutex
	set   senderSettings
	enc   *dtls.Encoder // nil below READY
	last  dtls.Stats    // of the connection that was left last
	known dtls.State    // as last told by notify
}

// NewSender makes the sending side of e.
func NewSender(e *gst.Element, log *gst.Category) *Sender {
	return &Sender{e: e, log: log, known: dtls.StateClosed, set: senderSettings{
		profiles: DefaultProfiles, mtu: defaultMTU, first: defaultRetransmitInitial, max: defaultRetransmitMax,
		timeout: defaultHandshakeTimeout,
	}}
}

// Open takes the encoder's place on the connection (NULL→READY).
func (s *Sender) Open() bool {
	s.mu.Lock()
	id := s.set.id
	s.mu.Unlock()
	if id == "" {
		s.e.Error(gst.ResourceSettings, s.e.Name()+": connection-id is not set: give the encoder and its decoder the same, "+
			"unique connection-id", "")
		return false
	}
	enc, err := dtls.OpenEncoder(id, s.e.Name(), dtls.EncoderHandler{
		Send: s.send, Unblock: s.Unblock, State: s.tellState, Keys: s.tellKeys,
		Error:   func(err error) { report(s.e, code(err), s.named(err), false) },
		Warning: func(err error) { report(s.e, code(err), s.named(err), true) },
		Closed:  s.tellClosed,
	})
	if err != nil {
		s.e.Error(gst.ResourceSettings, s.named(err).Error(), "")
		return false
	}
	s.mu.Lock()
	s.enc = enc
	s.mu.Unlock()
	return true
}

func (s *Sender) named(err error) error { return fmt.Errorf("%s: %w", s.e.Name(), err) }

// Start begins the handshake, or the wait for one (READY→PAUSED, once the pads
// are active).
func (s *Sender) Start() bool {
	s.mu.Lock()
	enc, set := s.enc, s.set
	s.mu.Unlock()
	if enc == nil {
		return false
	}
	profiles, err := parseProfiles(set.profiles)
	if err != nil {
		s.e.Error(gst.ResourceSettings, s.named(fmt.Errorf("srtp-profiles: %w", err)).Error(), "")
		return false
	}
	if set.max < set.first {
		s.e.Error(gst.ResourceSettings, fmt.Sprintf("%s: retransmit-max (%d ms) is less than retransmit-initial (%d ms): raise the one or lower the other",
			s.e.Name(), set.max, set.first), "")
		return false
	}
	ms := func(v uint32) time.Duration { return time.Duration(v) * time.Millisecond }
	err = enc.Start(dtls.EncoderConfig{
		IsClient: set.client, Profiles: profiles, MTU: int(set.mtu), RetransmitInitial: ms(set.first),
		RetransmitMax: ms(set.max), HandshakeTimeout: ms(set.timeout), PeerTimeout: ms(set.peerAfter),
	})
	if err != nil {
		s.e.Error(code(err), s.named(err).Error(), "")
		return false
	}
	return true
}

// Stop says goodbye to the peer, ends the session and joins what it started. It
// comes before the pads are deactivated (PAUSED→READY of the parent).
func (s *Sender) Stop() {
	if enc := s.encoder(); enc != nil {
		enc.Stop()
	}
}

// Close gives the encoder's place up (READY→NULL).
func (s *Sender) Close() {
	s.mu.Lock()
	enc := s.enc
	s.enc = nil
	s.mu.Unlock()
	if enc == nil {
		return
	}
	st := enc.Connection().Stats()
	enc.Close()
	s.mu.Lock()
	s.last = st
	s.mu.Unlock()
}

// CloseNotify tells the peer that no more comes; Closed follows. It reports
// false if there is nobody to tell.
func (s *Sender) CloseNotify() bool {
	enc := s.encoder()
	if enc == nil {
		return false
	}
	enc.CloseNotify()
	return true
}

// Interrupt ends a Write that waits, while on (a flush).
func (s *Sender) Interrupt(on bool) {
	if enc := s.encoder(); enc != nil {
		enc.Interrupt(on)
	}
}

// Write sends a buffer as one record of application data.
func (s *Sender) Write(b gst.Buffer) gst.FlowReturn {
	defer b.Unref()
	enc := s.encoder()
	if enc == nil {
		return gst.FlowFlushing
	}
	var err error
	if !b.Map(func(data []byte) { err = enc.Write(data) }) {
		s.e.Error(gst.ResourceRead, s.e.Name()+": the memory of a buffer cannot be read", "")
		return gst.FlowError
	}
	switch {
	case err == nil:
		return gst.FlowOK
	case errors.Is(err, dtls.ErrInterrupted), errors.Is(err, dtls.ErrNotStarted):
		return gst.FlowFlushing
	case errors.Is(err, dtls.ErrClosed):
		return gst.FlowEOS
	case errors.Is(err, dtls.ErrBeforeHandshake), errors.Is(err, dtls.ErrQueueFull):
		s.log.Log(gst.LevelWarning, s.e, "data dropped: %v", err) // counted in stats
		return gst.FlowOK
	case errors.Is(err, dtls.ErrFailed):
		// Error has told why. Under webrtcbin that ends nothing.
		if s.e.HasAncestor(webrtcbin) {
			return gst.FlowOK
		}
		return gst.FlowError
	}
	report(s.e, gst.ResourceWrite, s.named(err), false)
	return gst.FlowError
}

func (s *Sender) encoder() *dtls.Encoder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enc
}

// What the connection calls.

var errFlow = errors.New("downstream does not take the datagram")

func (s *Sender) send(datagram []byte) error {
	if ret := s.Output(datagram); ret != gst.FlowOK {
		return fmt.Errorf("%w (%d)", errFlow, ret)
	}
	return nil
}

func (s *Sender) tellState(st dtls.State) {
	s.mu.Lock()
	was := s.known
	s.known = st
	s.mu.Unlock()
	connectionLog.Log(gst.LevelDebug, s.e, "connection-state %s", ConnectionState.Nick(gst.Enum(st)))
	if st == dtls.StateConnecting && was == dtls.StateClosed && s.Reconnected != nil {
		s.Reconnected()
	}
	s.e.Notify("connection-state")
}

func (s *Sender) tellKeys(k dtls.Keys) {
	connectionLog.Log(gst.LevelInfo, s.e, "SRTP keys of %s", k.Profile)
	if s.Keys != nil {
		s.Keys(k)
	}
}

func (s *Sender) tellClosed() {
	if s.Closed != nil {
		s.Closed()
	}
}

// Getters and setters of properties.

// connection is nil below READY; then last is what there is to tell.
func (s *Sender) connection() (c *dtls.Connection, last dtls.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.enc != nil {
		return s.enc.Connection(), last
	}
	return nil, s.last
}

// IsOpen reports whether the element holds the encoder's place.
func (s *Sender) IsOpen() bool { return s.encoder() != nil }

// code tells the class of an error.
func code(err error) gst.ErrorCode {
	var refused *dtls.RefusedError
	var timeout *dtls.TimeoutError
	switch {
	case errors.As(err, &refused):
		return gst.ResourceNotAuthorized
	case errors.As(err, &timeout):
		return gst.ResourceOpenWrite
	}
	return gst.ResourceFailed
}
