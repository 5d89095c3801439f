// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// spoofer makes what somebody can send who does not see the connection.
type spoofer struct{ rng *rand.Rand }

func (s *spoofer) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.rng.Uint32())
	}
	return b
}

func (s *spoofer) record(typ byte, epoch uint16, body []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(body))
	putHeader(b, typ, epoch, uint64(s.rng.IntN(20)), len(body))
	if s.rng.IntN(2) == 0 {
		b[2] = 0xff
	}
	return append(b, body...)
}

func (s *spoofer) message(typ byte, seq uint16, body []byte) []byte {
	b := make([]byte, messageHeader, messageHeader+len(body))
	b[0] = typ
	b[2], b[3] = byte(len(body)>>8), byte(len(body))
	binary.BigEndian.PutUint16(b[4:], seq)
	b[10], b[11] = b[2], b[3]
	return s.record(typeHandshake, 0, append(b, body...))
}

func (s *spoofer) serverHello() []byte {
	b := append([]byte{0xfe, 0xfd}, s.bytes(32)...)
	return append(b, 0, 0xc0, 0x2b, 0, 0, 0)
}

func (s *spoofer) clientHello(cookie []byte) []byte {
	b := append([]byte{0xfe, 0xfd}, s.bytes(32)...)
	b = append(b, 0, byte(len(cookie)))
	b = append(b, cookie...)
	return append(b, 0, 2, 0xc0, 0x2b, 1, 0, 0, 0)
}

// datagrams is one of every kind.
func (s *spoofer) datagrams() [][]byte {
	cookie := append([]byte{0xfe, 0xff, 20}, s.bytes(20)...)
	seq := uint16(s.rng.IntN(6))
	out := [][]byte{
		{}, s.bytes(1), s.bytes(12), s.bytes(13 + s.rng.IntN(100)),
		s.record(typeAlert, 0, []byte{2, 40}), s.record(typeAlert, 0, []byte{1, 0}), s.record(typeAlert, 0, s.bytes(3)),
		s.record(typeAlert, 1, []byte{2, 40}), s.record(typeAlert, 1, s.bytes(26)), s.record(typeAlert, 2, s.bytes(26)),
		s.record(typeData, 0, s.bytes(30)), s.record(typeData, 1, s.bytes(60)), s.record(typeData, 1, nil),
		s.record(typeHandshake, 1, s.bytes(48)), s.record(typeChangeCipherSpec, 0, []byte{1}), s.record(typeChangeCipherSpec, 0, s.bytes(2)),
		s.record(typeChangeCipherSpec, 1, []byte{1}),
		s.record(typeHandshake, 0, nil), s.record(typeHandshake, 0, s.bytes(11)), s.record(typeHandshake, 0, s.bytes(40)),
		s.message(msgHelloVerifyRequest, 0, cookie), s.message(msgHelloVerifyRequest, 3, cookie),
		s.message(msgServerHello, 0, s.serverHello()), s.message(msgServerHello, 1, s.serverHello()),
		s.message(msgCertificate, seq, s.bytes(200)), s.message(msgCertificate, 1, s.bytes(20)), s.message(msgCertificate, 2, append([]byte{0, 0, 20, 0, 0, 17}, s.bytes(17)...)),
		s.message(12, seq, s.bytes(150)), s.message(13, seq, s.bytes(30)), s.message(14, seq, nil), s.message(14, 65535, nil),
		s.message(15, seq, s.bytes(70)), s.message(msgClientKeyExchange, seq, s.bytes(66)), s.message(msgFinished, seq, s.bytes(12)),
		s.message(0, seq, nil), s.message(msgClientHello, 0, s.clientHello(nil)), s.message(msgClientHello, 1, s.clientHello(s.bytes(20))),
		s.message(msgClientHello, 1, s.bytes(60)),
	}
	fragment := s.message(msgCertificate, 2, s.bytes(100))
	binary.BigEndian.PutUint16(fragment[headerSize+7:], 50)
	long := s.message(msgServerHello, 1, s.serverHello())
	long[headerSize+1] = 0xff
	out = append(out, fragment, long, append(s.message(14, seq, nil), s.bytes(9)...), append(s.record(typeAlert, 0, []byte{2, 0}), s.message(msgServerHello, 1, s.serverHello())...))
	for b := range 256 {
		out = append(out, append([]byte{byte(b)}, s.bytes(s.rng.IntN(40))...))
	}
	return out
}

// TestSpoofedDatagrams: junk of every kind, in every state and at every
// moment, and the real peer connects.
func TestSpoofedDatagrams(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			client, server, up, down := pair(t)
			for i, w := range []*wiring{up, down} {
				s := &spoofer{rand.New(rand.NewPCG(seed, uint64(i)))}
				w.tap = func(p []byte) [][]byte {
					all := s.datagrams()
					s.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
					n := min(60, len(all))
					at := s.rng.IntN(n)
					out := append([][]byte(nil), all[:at]...)
					out = append(out, p[:s.rng.IntN(len(p))], p)
					return append(out, all[at:n]...)
				}
			}
			s := &spoofer{rand.New(rand.NewPCG(seed, 9))}
			flood := func() {
				for _, e := range []*end{client, server} {
					for _, p := range s.datagrams() {
						_ = e.dec.Receive(p)
					}
				}
			}
			flood() // before the start
			server.start()
			flood() // to a server that waits
			client.start()
			flood() // to a client that waits
			client.connected(1)
			server.connected(1)
			flood() // to a session
			sameKeys(t, client, server)
			exchange(t, client, server)
			for name, e := range map[string]*end{"client": client, "server": server} {
				if len(e.errors) != 0 || e.closed != 0 || len(e.data) != 1 || len(e.encKeys) != 1 {
					t.Errorf("the %s: errors %v, closed %d, data %q", name, e.errors, e.closed, e.data)
				}
				for _, d := range []Reason{0, 1} {
					if e.dec.Connection().Stats().Dropped[d] == 0 {
						t.Errorf("the %s has dropped nothing as %v", name, d)
					}
				}
			}
		})
	}
}

// A flood of ClientHellos costs a server nothing that lasts.
func TestClientHelloFlood(t *testing.T) {
	server := newEnd(t, false)
	server.out = func([]byte) error { return nil }
	defer server.close()
	server.open()
	server.start()
	s := &spoofer{rand.New(rand.NewPCG(1, 2))}
	for range 2000 {
		_ = server.dec.Receive(s.message(msgClientHello, 0, s.clientHello(nil)))
		_ = server.dec.Receive(s.message(msgClientHello, 1, s.clientHello(s.bytes(20))))
	}
	c := server.dec.Connection()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.run.attempts) != 0 || c.state != StateNew {
		t.Errorf("%d attempts, state %v", len(c.run.attempts), c.state)
	}
}

// A client whom a forged HelloVerifyRequest reaches first connects.
func TestForgedHelloVerifyRequest(t *testing.T) {
	client, server, _, down := pair(t)
	forged := 0
	down.tap = func(p []byte) [][]byte {
		if msg, _ := messageOf(p); msg == msgHelloVerifyRequest && forged < 3 {
			forged++
			bad := append([]byte(nil), p...)
			bad[len(bad)-1] ^= 1
			return [][]byte{bad, p}
		}
		return [][]byte{p}
	}
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	sameKeys(t, client, server)
}

// A client that loses its server in the middle begins again.
func TestTheServerVanishesInTheHandshake(t *testing.T) {
	client, server, up, down := pair(t)
	client.encConfig.RetransmitInitial, client.encConfig.RetransmitMax = 5*time.Millisecond, 20*time.Millisecond
	var flights atomic.Int32
	up.tap = func(p []byte) [][]byte { // nothing beyond the ClientHellos gets through
		if msg, _ := messageOf(p); msg != msgClientHello {
			flights.Add(1)
			return nil
		}
		return [][]byte{p}
	}
	server.start()
	client.start()
	poll(t, "the flights", func() bool { return flights.Load() > 0 })
	server.close()
	again := newEnd(t, false)
	defer again.close()
	again.out = down.send
	again.open()
	up.mu.Lock()
	up.tap, up.to = nil, again
	up.mu.Unlock()
	again.start()
	client.connected(1)
	again.connected(1)
	sameKeys(t, client, again)
}
