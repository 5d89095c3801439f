// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"crypto/ecdh"
	crand "crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// forger makes datagrams as somebody would who does not see the connection.
// It may look at the real datagram for lengths, types and message_seq, which
// can be guessed, never for content.
type forger struct {
	mu   sync.Mutex
	rng  *rand.Rand
	cert tls.Certificate

	noKeyExchange bool
	// Nothing of epoch 1 is forged. What a Guard passes of it is not proven, and this package's test stack can
	// be held up for good by such a record between the peer's flight and its ChangeCipherSpec; how the handshake
	// that is shipped takes them is tested with it (TestSpoofedDatagrams of pkg/dtls).
	noEpoch1 bool
	// most bounds what is forged for one datagram, 0 not at all: with a small MTU a flight has ten times as many
	// datagrams, and a slow machine spends the whole time on forged ones.
	most int
}

func newForger(t testing.TB, seed uint64, kind string) *forger {
	return &forger{rng: rand.New(rand.NewPCG(seed, 99)), cert: certificateFor(t, kind)}
}

func (f *forger) bytes(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], f.rng.Uint64())
		copy(b[i:], word[:])
	}
	return b
}

// seq is a record number: low, or high enough to spoil a replay window, but
// not the one that follows the real ServerKeyExchange's.
func (f *forger) seq() uint64 {
	if f.rng.IntN(2) == 0 {
		return uint64(f.rng.IntN(50)) + 5000
	}
	return f.rng.Uint64() & maxSequence
}

func (f *forger) record(kind byte, epoch uint16, body []byte) []byte {
	r := appendRecordHeader(nil, kind, version12, f.seq(), len(body))
	binary.BigEndian.PutUint16(r[3:], epoch)
	return append(r, body...)
}

func (f *forger) message(kind byte, seq uint16, body []byte) []byte {
	return f.part(kind, seq, len(body), 0, body)
}

func (f *forger) part(kind byte, seq uint16, length, offset int, data []byte) []byte {
	return f.record(typeHandshake, 0, append(appendHandshakeHeader(nil, kind, length, seq, offset, len(data)), data...))
}

func (f *forger) serverHello() []byte {
	b := append([]byte{0xFE, 0xFD}, f.bytes(32)...)
	return append(b, 0, 0xC0, 0x2B, 0)
}

func (f *forger) certificate() []byte {
	der := f.cert.Certificate[0]
	n, m := len(der)+3, len(der)
	b := []byte{byte(n >> 16), byte(n >> 8), byte(n), byte(m >> 16), byte(m >> 8), byte(m)}
	return append(b, der...)
}

func (f *forger) point() []byte {
	key, err := ecdh.X25519().GenerateKey(crand.Reader)
	if err != nil {
		panic(err)
	}
	return key.PublicKey().Bytes()
}

func (f *forger) serverKeyExchange() []byte {
	b := append([]byte{3, 0, curveX25519, 32}, f.point()...)
	b = append(b, 4, 3, 0, 70)
	return append(b, f.bytes(70)...)
}

func (f *forger) certificateVerify() []byte { return append([]byte{4, 3, 0, 70}, f.bytes(70)...) }

func (f *forger) clientHello(cookie int) []byte {
	b := append([]byte{0xFE, 0xFD}, f.bytes(32)...)
	b = append(b, 0, byte(cookie))
	b = append(b, f.bytes(cookie)...)
	return append(b, 0, 2, 0xC0, 0x2B, 1, 0)
}

// all returns one datagram of each class.
func (f *forger) all(toClient bool, real []byte) [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := [][]byte{
		{}, {22}, f.bytes(13), f.bytes(200),
		f.record(typeAlert, 0, []byte{2, 40}), f.record(typeAlert, 0, []byte{1, 0}), f.record(typeAlert, 0, []byte{2}),
		f.record(typeApplicationData, 0, []byte("hello")),
		f.record(typeChangeCipherSpec, 0, []byte{1}), f.record(typeChangeCipherSpec, 0, []byte{9, 9}),
		f.record(typeChangeCipherSpec, 1, []byte{7, 7, 7}),
		f.record(typeHandshake, 1, f.bytes(64)), f.record(typeApplicationData, 1, f.bytes(40)),
		f.record(typeAlert, 1, f.bytes(26)), f.record(25, 1, f.bytes(40)), f.record(typeHandshake, 2, f.bytes(40)),
		f.record(typeHandshake, 0, f.bytes(5)),
	}
	for seq := range uint16(6) {
		list = append(list,
			f.message(msgServerHello, seq, f.serverHello()),
			f.message(msgCertificate, seq, f.certificate()),
			f.message(msgCertificate, seq, []byte{0, 0, 0}),
			f.message(msgServerKeyExchange, seq, f.serverKeyExchange()),
			f.message(msgCertificateRequest, seq, []byte{1, 64, 0, 2, 4, 3, 0, 0}),
			f.message(msgServerHelloDone, seq, nil),
			f.message(msgCertificateVerify, seq, f.certificateVerify()),
			f.message(msgClientHello, seq, f.clientHello(20)),
			f.message(msgHelloVerifyRequest, seq, append([]byte{0xFE, 0xFF, 20}, f.bytes(20)...)),
			f.message(20, seq, f.bytes(12)), f.message(0, seq, nil), f.message(4, seq, f.bytes(30)),
		)
	}
	for seq := range uint16(6) {
		if !f.noKeyExchange {
			list = append(list, f.message(msgClientKeyExchange, seq, append([]byte{32}, f.point()...)))
		}
	}
	list = append(list,
		f.message(msgClientHello, 0, f.clientHello(0)),
		f.message(msgCertificate, 60000, f.certificate()), f.message(msgServerHello, 500, f.serverHello()),
		f.part(msgCertificate, 2, 1<<23, 1<<22, f.bytes(100)), f.part(msgCertificate, 2, 300, 250, f.bytes(100)),
		f.part(msgCertificate, 2, 20000, 15000, f.bytes(500)),
	)
	// Forged parts of the very messages that are under way.
	for rest := real; len(rest) > 0; {
		r, next, ok := nextRecord(rest)
		if !ok {
			break
		}
		rest = next
		if r.epoch != 0 || r.kind != typeHandshake {
			continue
		}
		g, _, ok := nextFragment(r.body)
		if !ok || g.length == 0 {
			continue
		}
		if !toClient && g.kind == msgClientHello {
			continue // nothing in it is signed: see Front's tests
		}
		if g.kind == msgCertificateRequest {
			continue // as above, where it comes in fragments
		}
		half := g.length / 2
		list = append(list,
			f.part(g.kind, g.seq, g.length, 0, f.bytes(half)),
			f.part(g.kind, g.seq, g.length, half, f.bytes(g.length-half)),
			f.part(g.kind, g.seq, g.length, g.offset, f.bytes(len(g.data))),
			f.part(g.kind, g.seq, g.length, g.length-1, f.bytes(1)),
			f.message(g.kind, g.seq, f.bytes(g.length)),
		)
	}
	if f.noEpoch1 {
		list = slices.DeleteFunc(list, func(d []byte) bool { return len(d) > 4 && d[0] >= typeChangeCipherSpec && d[4] != 0 })
	}
	f.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if f.most > 0 {
		list = list[:min(f.most, len(list))]
	}
	var joined []byte
	for _, d := range list[:10] {
		if len(d) > recordHeader {
			joined = append(joined, d...)
		}
	}
	list = append(list, joined)
	for _, d := range list[10:20] {
		if len(d) > 1 {
			list = append(list, d[:f.rng.IntN(len(d))])
		}
	}
	return list
}

func TestHandshakeSpoofed(t *testing.T) {
	for _, cert := range []string{"p256", "rsa"} {
		for _, auth := range []bool{true, false} {
			for _, mtu := range []int{1200, 300} {
				if !auth && mtu == 300 {
					continue // a ClientKeyExchange alone proves nothing
				}
				for seed := range uint64(2) {
					t.Run(fmt.Sprintf("%s/auth=%v/mtu=%d/seed=%d", cert, auth, mtu, seed), func(t *testing.T) {
						t.Parallel()
						forger := newForger(t, seed, cert)
						s := setup{cert: cert, clientAuth: auth, mtu: mtu, loss: 0.1, seed: seed, startSeq: 1 << 40, spoof: forger.all}
						// Nothing proves a ClientKeyExchange alone; see Guard.
						forger.noKeyExchange = !auth
						forger.noEpoch1 = true
						if mtu == 300 {
							forger.most = 25
						}
						r, err := s.run(t, 60*time.Second)
						for attempt := 1; err != nil && attempt < 3 && r.clientGuard.Stale(); attempt++ {
							r, err = s.run(t, 60*time.Second) // as everybody does who uses a Guard
						}
						if err != nil {
							t.Fatalf("%v; client: %s; server: %s", err, r.clientGuard.Hint(), r.serverGuard.Hint())
						}
						r.exchange(t)
						for side, drops := range r.dropped() {
							if drops[DropSpoofed] == 0 || drops[DropMalformed] == 0 {
								t.Errorf("side %d counted %v", side, drops)
							}
						}
					})
				}
			}
		}
	}
}
