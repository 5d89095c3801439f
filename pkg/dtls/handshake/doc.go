// SPDX-License-Identifier: LGPL-2.1-or-later

// Package handshake is the full handshake of DTLS 1.2 (RFC 5246, RFC 6347), in
// either role: ECDHE_ECDSA and ECDHE_RSA (RFC 8422) with AES-128-GCM or
// AES-256-GCM (RFC 5288, RFC 5289), extended master secret (RFC 7627), use_srtp
// (RFC 5764), certificates on both ends and the exporter of RFC 5705. There is
// no renegotiation, no resumption, no compression.
//
// A peer without extended master secret is served, and keys are exported then,
// too, as OpenSSL does it and as DTLS-SRTP with an old peer needs; RFC 7627 section
// 5.4 forbids that. What it fears is one master secret in two sessions, for which
// somebody in the middle has to choose an RSA premaster secret or a weak group: here
// groups are named, shares are checked, and Finished covers the certificates.
//
// It is a state machine over whole messages: no goroutine, no clock, no network
// and no record. The caller puts the peer's flights together, verifies the
// signature in them (pkg/dtls/wire does both), sends what comes back and sends
// it again when it is lost. Every cryptographic primitive is the standard
// library's.
//
// A message is in its raw form: the 12-byte header as if it were unfragmented,
// which is what the handshake's hash covers (RFC 6347 section 4.2.6), and the body.
package handshake

import "fmt"

// Alert descriptions (RFC 5246 section 7.2).
const (
	alertHandshakeFailure     = 40
	alertIllegalParameter     = 47
	alertDecodeError          = 50
	alertDecryptError         = 51
	alertProtocolVersion      = 70
	alertInsufficientSecurity = 71
	alertUnexpectedMessage    = 10
	alertUnsupportedExtension = 110
)

// Error says why a handshake cannot go on.
type Error struct {
	Alert uint8 // the description that tells the peer (RFC 5246 section 7.2)
	text  string
}

func (e *Error) Error() string { return e.text }

func fault(alert uint8, format string, args ...any) error {
	return &Error{Alert: alert, text: fmt.Sprintf(format, args...)}
}
