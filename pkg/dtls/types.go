// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"crypto/x509"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// State is the state of a connection, with the numbers of GstDtlsConnectionState.
type State int

// The states.
const (
	StateNew        State = 0 // nothing has happened
	StateClosed     State = 1 // close_notify came or was sent, or the encoder was stopped
	StateFailed     State = 2 // the Error callback said why
	StateConnecting State = 3 // a handshake is under way
	StateConnected  State = 4 // data and media may flow
)

// String is the state's nick.
func (s State) String() string {
	switch s {
	case StateNew:
		return "new"
	case StateClosed:
		return "closed"
	case StateFailed:
		return "failed"
	case StateConnecting:
		return "connecting"
	case StateConnected:
		return "connected"
	}
	return "unknown"
}

// Reason is why a datagram or record was dropped.
type Reason = wire.Reason

// Keys are the SRTP master keys of one handshake (RFC 5764 section 4.2). They
// must not be logged.
type Keys struct {
	Generation uint64 // 1 for the first handshake of the connection, one more with each
	Profile    srtp.Profile
	Local      []byte // key and salt for what this end sends
	Remote     []byte // key and salt for what the peer sends
}

// EncoderConfig is how a connection shakes hands. The zero value is a server
// with the defaults that has no SRTP profile.
type EncoderConfig struct {
	IsClient bool
	// Profiles are offered, or chosen from, by preference. None: data only.
	Profiles []srtp.Profile
	// MTU bounds the datagrams of the handshake, in bytes: 256 to 65507, default 1200.
	MTU int
	// RetransmitInitial and RetransmitMax bound the time after which a flight
	// is sent again: it doubles from the one to the other. Defaults 100 ms, 2 s.
	RetransmitInitial, RetransmitMax time.Duration
	// HandshakeTimeout ends a handshake that does not complete. 0: never.
	HandshakeTimeout time.Duration
	// PeerTimeout is the silence after which a client shakes hands again,
	// beside the established session. 0: never.
	PeerTimeout time.Duration
}

// EncoderHandler is what an encoder tells its element. Every function may be
// nil. They are called on a goroutine of the connection, one at a time, with
// no lock held, and may call everything of this package.
type EncoderHandler struct {
	// Send gives a datagram to the network. It may block; the datagram is the
	// callee's to keep. After an error what is queued is dropped and the next
	// Write returns the error; the next datagram is tried again.
	Send func(datagram []byte) error
	// Unblock must make a Send that blocks return. It is called by Stop, on
	// its goroutine, when Send has not come back after 200 ms.
	Unblock func()
	State   func(State)
	Keys    func(Keys)
	Error   func(error) // the connection has failed
	Warning func(error)
	// Closed: after CloseNotify, when both directions are closed or the peer
	// has not answered within a second.
	Closed func()
}

// VerifyMode is what is asked of the peer's certificate chain.
type VerifyMode int

// The verify modes.
const (
	VerifyNone VerifyMode = iota // any certificate, also self-signed
	VerifyCA                     // a chain to one of the CAs
)

// DecoderConfig is who this end is and whom it trusts. Pins, Verify and Accept
// all have to agree when several are given.
type DecoderConfig struct {
	Identity   *identity.Identity // nil: one is generated when it is first needed
	Pins       []identity.Pin     // one of them must match the peer's certificate
	Verify     VerifyMode
	CAs        *x509.CertPool // nil with VerifyCA: the system's
	ServerName string         // with VerifyCA: the name in the peer's certificate; a client also sends it
	// Accept is asked last, before any key is handed out, on the goroutine of
	// the decoder's callbacks. It may block.
	Accept func(pem string) bool
	// Asks says whether there is anybody whom Accept would ask; if not, it is
	// not called and the peer is taken. It is called with a lock of the
	// connection held: it must be quick and must not call this package. nil: there is.
	Asks func() bool
}

// DecoderHandler is what a decoder tells its element. Every function may be
// nil. They are called on a goroutine of the connection, one at a time, with
// no lock held, and may call everything of this package.
type DecoderHandler struct {
	Data  func(p []byte) // one record of application data, the callee's to keep
	State func(State)
	Keys  func(Keys)
	// PeerCertificate comes before it is judged; beside a session, with the keys
	// of the handshake that replaces it.
	PeerCertificate func(pem string)
	// Unasked: Accept was not called, since there was nobody to ask.
	Unasked func()
	Closed  func()      // the peer's close_notify came, after all its Data
	Error   func(error) // the connection has failed
	Warning func(error)
}

// Stats are a connection's counters since its first side was opened.
type Stats struct {
	State             State
	Version           uint16        // 0xFEFD (DTLS 1.2) once connected, else 0
	Profile           string        // the SRTP profile's RFC name, "" without one
	PeerFingerprint   string        // "sha-256 AA:BB:…", "" before the peer's certificate came
	HandshakeDuration time.Duration // from the first datagram of the last completed handshake
	Handshakes        uint64        // completed
	Retransmissions   uint64        // flights sent again
	// Datagrams of DTLS.
	PacketsSent, BytesSent, PacketsReceived, BytesReceived uint64
	// Dropped counts datagrams and records by reason; reasons that never occurred are left out.
	Dropped map[Reason]uint64
}
