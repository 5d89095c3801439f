// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"errors"
	"fmt"
)

// What Write, Start and Receive return. Use errors.Is.
var (
	// ErrBeforeHandshake: the handshake is not complete and no more data can be held for it.
	ErrBeforeHandshake = errors.New("the DTLS handshake is not complete and the data held for it has reached its bound (64 datagrams, 256 KiB): send later or less")
	// ErrInterrupted: Interrupt or Stop ended a Write that waited.
	ErrInterrupted = errors.New("interrupted by a flush or a stop")
	// ErrClosed: the connection, or this side of it, is closed.
	ErrClosed = errors.New("the DTLS connection is closed")
	// ErrFailed: the connection failed; the Error callback said why.
	ErrFailed = errors.New("the DTLS connection has failed: stop and start the encoder for another one")
	// ErrQueueFull: a Write from inside a callback found the send queue full.
	ErrQueueFull = errors.New("the send queue is full and cannot drain while its own callback writes")
	// ErrTooLong: a record holds at most 16384 bytes (RFC 6347 section 4.1).
	ErrTooLong = errors.New("the data is longer than a DTLS record can be (16384 bytes): send it in smaller pieces")
	// ErrNotStarted: the encoder is not started.
	ErrNotStarted = errors.New("the DTLS encoder is not started")
)

// TakenError says that another element has this side of the connection.
type TakenError struct {
	ID    string // the connection-id
	Side  string // "encoder" or "decoder"
	Owner string // who has it
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("connection-id %q: %s is its %s already: every %s needs a connection-id of its own", e.ID, e.Owner, e.Side, e.Side)
}

// RefusedError says why the peer's certificate was refused.
type RefusedError struct {
	Fingerprint string // "sha-256 AA:BB:…" of the peer's certificate
	Reason      string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the peer's certificate (%s) is refused: %s", e.Fingerprint, e.Reason)
}

// TimeoutError says what did not come in time.
type TimeoutError struct {
	What string
	Hint string // what was seen instead
}

func (e *TimeoutError) Error() string {
	if e.Hint == "" {
		return e.What
	}
	return e.What + " (" + e.Hint + ")"
}

// AlertError is a fatal alert that the peer sent and that authenticated.
type AlertError struct {
	Description uint8 // RFC 5246 section 7.2.2
}

func (e *AlertError) Error() string {
	return "the peer ended the DTLS connection by a fatal alert: " + alertName(e.Description)
}

// alertName is the name of an alert as the RFCs write it.
func alertName(d uint8) string {
	names := map[uint8]string{
		0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow",
		40: "handshake_failure", 42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked",
		45: "certificate_expired", 46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca",
		49: "access_denied", 50: "decode_error", 51: "decrypt_error", 70: "protocol_version",
		71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled",
		100: "no_renegotiation", 110: "unsupported_extension", 112: "unrecognized_name", 120: "no_application_protocol",
	}
	if n, ok := names[d]; ok {
		return fmt.Sprintf("%s(%d)", n, d)
	}
	return fmt.Sprintf("alert(%d)", d)
}
