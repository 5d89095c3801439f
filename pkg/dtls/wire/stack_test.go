// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"sync"
)

// stackGuard is a Guard before a DTLS stack of its own kind: what it passes
// is put into datagrams as the stack would have got them from the network.
type stackGuard struct {
	*Guard
	one     sync.Mutex // In is called from several goroutines
	frames  framer
	ccsDone bool
	last    uint16 // the highest message_seq that was passed
}

func newStackGuard(client bool) *stackGuard { return &stackGuard{Guard: NewGuard(client)} }

func (s *stackGuard) message(raw []byte) {
	f, _, _ := nextFragment(raw)
	s.last = max(s.last, f.seq) // a late ClientHello must not become what a client is to repeat
	s.frames.message(f.kind, f.seq, f.data)
}

// In returns the datagrams that the stack may have now.
func (s *stackGuard) In(datagram []byte) (pass [][]byte, drops []Reason) {
	s.one.Lock()
	defer s.one.Unlock()
	in := s.Guard.In(datagram)
	established := s.isEstablished()
	switch {
	case in.Repeated == nil:
	case !established, !s.client && bytes.Equal(in.Repeated, s.had(s.last)):
		// A server repeats its last flight for each datagram: one message is enough.
		s.message(in.Repeated)
	}
	if in.Cookie != nil {
		s.message(s.had(0))
	}
	if in.Hello != nil {
		s.message(in.Hello)
	}
	if in.Flight != nil {
		for _, raw := range in.Flight.Messages {
			s.message(raw)
		}
	}
	for _, raw := range in.Records {
		if !s.ccsDone && !established {
			s.ccsDone = true
			s.frames.changeCipherSpec()
		}
		s.frames.raw(raw)
	}
	return s.frames.take(), in.Drops
}

func (s *stackGuard) isEstablished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.established
}

// primer is a ClientHello as a first one: empty cookie, message_seq 0. It
// brings a stack that has a cookie exchange of its own to its HelloVerifyRequest.
func (h *Hello) primer() []byte {
	body := h.Datagram[recordHeader+handshakeHeader:]
	parsed, _ := parseHello(body)
	at := 2 + 32 + 1 + len(parsed.sessionID)
	bare := append(append(bytes.Clone(body[:at]), 0), body[at+1+len(parsed.cookie):]...)
	primer := appendRecordHeader(nil, typeHandshake, version10, 0, handshakeHeader+len(bare))
	primer = appendHandshakeHeader(primer, msgClientHello, len(bare), 0, 0, len(bare))
	return append(primer, bare...)
}

func (h *Hello) cookie() []byte {
	parsed, _ := parseHello(h.Datagram[recordHeader+handshakeHeader:])
	return bytes.Clone(parsed.cookie)
}
