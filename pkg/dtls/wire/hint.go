// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"fmt"
	"strings"
)

// seen is what came from the peer, authenticated or not, for Hint.
type seen struct {
	kinds       uint32 // bit n: a handshake message of type n
	alerts      bool
	alertNumber byte
	epoch1      bool
	malformed   bool
}

func (s *seen) message(kind byte) {
	if kind < 32 {
		s.kinds |= 1 << kind
	}
}

func (s *seen) has(kind byte) bool { return s.kinds&(1<<kind) != 0 }

func (s *seen) alert(_, number byte) { s.alerts, s.alertNumber = true, number }

// Hint says in a few words what came from the peer, for the error of a
// handshake that did not complete. Nothing of it is authenticated.
func (g *Guard) Hint() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.seen
	var parts []string
	switch {
	case g.flightDone && !s.epoch1:
		parts = append(parts, "the peer's handshake messages came, its Finished did not")
	case g.flightDone:
		parts = append(parts, "the peer's handshake messages and protected records came, no valid Finished among them")
	case g.client && g.flight.proven == nil && s.has(msgClientHello):
		parts = append(parts, "the peer sends ClientHellos: both ends are clients")
	case !g.client && (s.has(msgServerHello) || s.has(msgHelloVerifyRequest)):
		parts = append(parts, "the peer answers as a server: both ends are servers")
	case g.client:
		parts = g.clientHint()
	default:
		parts = g.serverHint()
	}
	if s.alerts {
		parts = append(parts, "the peer sent an (unauthenticated) alert: "+alertName(s.alertNumber))
	}
	if len(parts) == 0 {
		switch {
		case s.malformed:
			return "only datagrams that are no DTLS 1.2 came"
		case g.datagrams > 0:
			return "nothing that belongs to this handshake came"
		}
		return "nothing came"
	}
	return strings.Join(parts, "; ")
}

func (g *Guard) clientHint() []string {
	if g.flight.proven != nil {
		return []string{"the server's flight came, but not to its end (ServerHelloDone)"}
	}
	if g.stale {
		return []string{"the server asks for another cookie than the one it was given"}
	}
	if parts := missing(&g.seen, msgServerHello, msgCertificate, msgServerKeyExchange); parts != nil {
		return append(parts, g.oldVersion()...)
	}
	if g.verified {
		return []string{"a HelloVerifyRequest came, no ServerHello"}
	}
	return nil
}

// oldVersion looks for a ServerHello of another version.
func (g *Guard) oldVersion() []string {
	for _, group := range g.flight.pool.groups {
		if group.kind != msgServerHello {
			continue
		}
		for _, p := range group.pieces {
			if p.offset == 0 && len(p.data) > 2 && p.data[0] == 0xFE && p.data[1] == 0xFF {
				return []string{"the server speaks DTLS 1.0, not 1.2"}
			}
		}
	}
	return nil
}

func (g *Guard) serverHint() []string {
	if !g.outDone {
		if g.hello != nil {
			return []string{"a ClientHello came"}
		}
		return nil
	}
	if !g.requested {
		return missing(&g.seen, msgClientKeyExchange)
	}
	for _, group := range g.flight.pool.groups {
		if group.kind == msgCertificate && group.length == 3 {
			return []string{"the client sent no certificate; one is required"}
		}
	}
	if parts := missing(&g.seen, msgCertificate, msgClientKeyExchange, msgCertificateVerify); parts != nil {
		return parts
	}
	return []string{"the client's ClientHello came, nothing after it"}
}

// missing tells what of a flight came and what did not; nil when nothing did.
func missing(s *seen, kinds ...byte) []string {
	var came, not []string
	for _, kind := range kinds {
		if s.has(kind) {
			came = append(came, messageName(kind))
		} else {
			not = append(not, messageName(kind))
		}
	}
	switch {
	case len(came) == 0:
		return nil
	case len(not) == 0:
		return []string{strings.Join(came, ", ") + " came, but they are not whole or their signature does not verify"}
	}
	return []string{strings.Join(came, ", ") + " came, missing: " + strings.Join(not, ", ")}
}

func messageName(kind byte) string {
	switch kind {
	case msgServerHello:
		return "ServerHello"
	case msgCertificate:
		return "Certificate"
	case msgServerKeyExchange:
		return "ServerKeyExchange"
	case msgCertificateVerify:
		return "CertificateVerify"
	case msgClientKeyExchange:
		return "ClientKeyExchange"
	}
	return fmt.Sprintf("handshake message %d", kind)
}

// alertName names an alert (RFC 5246 7.2) with its number.
func alertName(number byte) string {
	name := "alert"
	switch number {
	case 0:
		name = "close_notify"
	case 10:
		name = "unexpected_message"
	case 20:
		name = "bad_record_mac"
	case 40:
		name = "handshake_failure"
	case 42:
		name = "bad_certificate"
	case 43:
		name = "unsupported_certificate"
	case 45:
		name = "certificate_expired"
	case 46:
		name = "certificate_unknown"
	case 47:
		name = "illegal_parameter"
	case 48:
		name = "unknown_ca"
	case 49:
		name = "access_denied"
	case 50:
		name = "decode_error"
	case 51:
		name = "decrypt_error"
	case 70:
		name = "protocol_version"
	case 71:
		name = "insufficient_security"
	case 80:
		name = "internal_error"
	case 90:
		name = "user_canceled"
	case 109:
		name = "missing_extension"
	case 110:
		name = "unsupported_extension"
	case 120:
		name = "no_application_protocol"
	}
	return fmt.Sprintf("%s(%d)", name, number)
}
