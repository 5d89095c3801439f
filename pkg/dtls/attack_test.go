// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"crypto/x509"
	"encoding/pem"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
)

// threeEnds are a server, its true client and somebody on the path, who sees
// what the server sends and can send to it.
func threeEnds(t *testing.T) (good, evil, server *end) {
	good, evil, server = newEnd(t, true), newEnd(t, true), newEnd(t, false)
	for _, e := range []*end{good, evil, server} {
		id, err := identity.Generate()
		if err != nil {
			t.Fatal(err)
		}
		e.decConfig.Identity = id
	}
	toGood, toEvil := &wiring{to: good}, &wiring{to: evil}
	server.out = func(p []byte) error {
		_ = toGood.send(p)
		return toEvil.send(append([]byte(nil), p...))
	}
	good.out = (&wiring{to: server}).send
	evil.out = (&wiring{to: server}).send
	t.Cleanup(func() { good.close(); evil.close(); server.close() })
	for _, e := range []*end{good, evil, server} {
		e.open()
	}
	return good, evil, server
}

func certOf(e *end) string { return e.decConfig.Identity.CertificatePEM() }

func TestRefusedPeerBesideSessionLeavesPeerPEM(t *testing.T) {
	good, evil, server := threeEnds(t)
	block, _ := pem.Decode([]byte(certOf(good)))
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	text, _ := identity.Fingerprint("sha-256", block.Bytes)
	pins, err := identity.ParsePins(text)
	if err != nil {
		t.Fatal(err)
	}
	server.dec.Configure(DecoderConfig{Identity: server.decConfig.Identity, Pins: pins})
	server.start()
	good.start()
	server.connected(1)
	evil.start()
	server.until("the refusal", func() bool {
		for _, w := range server.warnings {
			if _, ok := w.(*RefusedError); ok {
				return true
			}
		}
		return false
	})
	if got := server.dec.Connection().PeerPEM(); got != certOf(good) {
		t.Error("the certificate of a refused peer is shown as that of the session")
	}
	if got := server.dec.Connection().Stats().PeerFingerprint; got != text {
		t.Errorf("peer-fingerprint of the stats is %s, that of the session's peer %s", got, text)
	}
}

func TestPeerPEMIsThatOfTheKeys(t *testing.T) {
	good, evil, server := threeEnds(t)
	var mu sync.Mutex
	held, open := [][]byte(nil), false
	send := (&wiring{to: server}).send
	evil.out = func(p []byte) error {
		mu.Lock()
		var now []byte
		for rest := p; len(rest) > 0; {
			r, after, ok := nextRecord(rest)
			if !ok {
				break
			}
			rest = after
			if recordEpoch(r) != 0 && !open {
				held = append(held, append([]byte(nil), r...))
				continue
			}
			now = append(now, r...)
		}
		mu.Unlock()
		if len(now) > 0 {
			return send(now)
		}
		return nil
	}
	// The true client's last flight waits for somebody else's certificate.
	goodSend := (&wiring{to: server}).send
	release := make(chan struct{})
	good.out = func(p []byte) error {
		if r, _, ok := nextRecord(p); ok {
			if m, _ := messageOf(r); m == msgCertificate || recordEpoch(r) != 0 || r[0] == typeChangeCipherSpec {
				<-release
			}
		}
		return goodSend(p)
	}
	server.start()
	good.start()
	poll(t, "the attempt of the true client", func() bool {
		c := server.dec.Connection()
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.run != nil && len(c.run.attempts) == 1
	})
	evil.start()
	server.until("the other certificate", func() bool { return len(server.peers) > 0 })
	close(release)
	server.connected(1)
	mu.Lock()
	open = true
	late := held
	mu.Unlock()
	for _, r := range late {
		_ = send(r)
	}
	time.Sleep(500 * time.Millisecond)
	k, _ := server.dec.Connection().Keys()
	ke, ok := evil.enc.Connection().Keys()
	if ok && string(k.Local) == string(ke.Remote) && server.dec.Connection().PeerPEM() != certOf(evil) {
		t.Error("the keys are those of the other client, peer-pem is that of the true one")
	}
}

func TestLateHelloAfterCloseNotify(t *testing.T) {
	client, server, up, _ := pair(t)
	server.encConfig.HandshakeTimeout = time.Second
	var mu sync.Mutex
	var hellos [][]byte
	up.tap = func(p []byte) [][]byte {
		if r, _, ok := nextRecord(p); ok {
			if m, _ := messageOf(r); m == msgClientHello {
				mu.Lock()
				hellos = append(hellos, append([]byte(nil), p...))
				mu.Unlock()
			}
		}
		return [][]byte{p}
	}
	server.start()
	client.start()
	server.connected(1)
	client.connected(1)
	client.enc.CloseNotify()
	server.untilState(StateClosed)
	client.until("closed", func() bool { return client.closedE > 0 })
	mu.Lock()
	late := hellos
	mu.Unlock()
	for _, h := range late {
		_ = server.dec.Receive(h)
	}
	time.Sleep(1500 * time.Millisecond)
	if s := server.dec.Connection().State(); s != StateClosed {
		t.Errorf("a late copy of the ClientHello makes the closed connection %v: %v", s, server.errors)
	}
}

// Somebody who has recorded ClientHellos of earlier handshakes plays them
// while the true peer shakes hands.
func TestReplayedHellosDuringHandshake(t *testing.T) {
	server := newEnd(t, false)
	server.encConfig.HandshakeTimeout = 8 * time.Second
	var recorded [][]byte
	var mu sync.Mutex
	t.Cleanup(server.close)
	var peer *end
	server.out = func(p []byte) error {
		mu.Lock()
		to := peer
		mu.Unlock()
		if to == nil {
			return nil
		}
		return (&wiring{to: to}).send(p)
	}
	server.open()
	server.start()
	connect := func() *end {
		c := newEnd(t, true)
		t.Cleanup(c.close)
		w := &wiring{to: server}
		w.tap = func(p []byte) [][]byte {
			if r, _, ok := nextRecord(p); ok {
				if m, _ := messageOf(r); m == msgClientHello {
					mu.Lock()
					recorded = append(recorded, append([]byte(nil), p...))
					mu.Unlock()
				}
			}
			return [][]byte{p}
		}
		c.out = w.send
		mu.Lock()
		peer = c
		mu.Unlock()
		c.open()
		c.start()
		return c
	}
	for i := 0; i < 3; i++ {
		c := connect()
		server.connected(i + 1)
		c.connected(1)
	}
	mu.Lock()
	old := append([][]byte(nil), recorded...)
	mu.Unlock()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			for _, h := range old {
				select {
				case <-stop:
					return
				case <-time.After(500 * time.Microsecond):
				}
				_ = server.dec.Receive(h)
			}
		}
	}()
	began := time.Now()
	c := connect()
	ok := false
	for time.Since(began) < 6*time.Second && !ok {
		time.Sleep(5 * time.Millisecond)
		ok = c.enc.Connection().State() == StateConnected
	}
	close(stop)
	wg.Wait()
	t.Logf("connected %v after %v; stats of the server %+v", ok, time.Since(began), server.enc.Connection().Stats())
	if !ok {
		t.Error("replayed ClientHellos keep the true peer out")
	}
}

// A peer that has sent much data is killed and comes again: its records begin
// at 0 again, where the old session's replay window is far beyond.
func TestRestartAfterMuchData(t *testing.T) {
	for _, restarted := range []string{"client", "server"} {
		t.Run(restarted, func(t *testing.T) {
			client, server, up, down := pair(t)
			client.encConfig.PeerTimeout = 200 * time.Millisecond
			server.start()
			client.start()
			client.connected(1)
			server.connected(1)
			from, to, way := client, server, up
			if restarted == "server" {
				from, to, way = server, client, down
			}
			for i := 0; i < 200; i++ {
				if err := from.enc.Write([]byte{1, byte(i)}); err != nil {
					t.Fatal(err)
				}
			}
			to.until("the data", func() bool { return len(to.data) == 200 })
			way.mu.Lock()
			way.to = nil // it is killed: no close_notify
			way.mu.Unlock()
			from.close()
			again := newEnd(t, restarted == "client")
			t.Cleanup(again.close)
			again.out = (&wiring{to: to}).send
			answers := up
			if restarted == "client" {
				answers = down
			}
			answers.mu.Lock()
			answers.to = again
			answers.mu.Unlock()
			again.open()
			again.start()
			began := time.Now()
			again.connected(1)
			to.connected(2)
			t.Logf("connected again after %v, retransmissions %d", time.Since(began), again.enc.Connection().Stats().Retransmissions)
			sameKeys(t, again, to)
		})
	}
}

// Junk that looks like data of the next epoch must not take the Finished's place.
func TestJunkDataBeforeFinished(t *testing.T) {
	client, server, up, _ := pair(t)
	client.encConfig.MTU = 256
	var junk []byte
	for i := 0; i < 70; i++ {
		at := len(junk)
		junk = append(junk, make([]byte, headerSize+overhead+1)...)
		putHeader(junk[at:], typeData, 1, uint64(i), overhead+1)
	}
	up.tap = func(p []byte) [][]byte {
		if r, _, ok := nextRecord(p); ok && (recordEpoch(r) == 1 || r[0] == typeChangeCipherSpec) {
			return [][]byte{append([]byte(nil), junk...), p}
		}
		return [][]byte{p}
	}
	server.start()
	client.start()
	server.connected(1)
	client.connected(1)
}

// A client with a valid cookie that shakes hands up to its signed flight, again
// and again, and with another certificate each time, costs bounded memory and
// does not keep the true one away.
func TestHalfHandshakes(t *testing.T) {
	server := newEnd(t, false)
	defer server.close()
	server.encConfig.RetransmitInitial = time.Hour // nothing else tells the decoder
	server.encConfig.RetransmitMax = time.Hour
	var mu sync.Mutex
	var back *end
	server.out = func(p []byte) error {
		mu.Lock()
		to := back
		mu.Unlock()
		return (&wiring{to: to}).send(p)
	}
	server.open()
	server.start()
	for range 30 {
		client := newEnd(t, true)
		mu.Lock()
		back = client
		mu.Unlock()
		up := &wiring{to: server, tap: func(p []byte) [][]byte {
			// The Finished and everything behind it is missing.
			var cut []byte
			for rest := p; len(rest) > 0; {
				record, after, ok := nextRecord(rest)
				if !ok {
					break
				}
				if rest = after; recordEpoch(record) == 0 {
					cut = append(cut, record...)
				}
			}
			return [][]byte{cut}
		}}
		client.out = up.send
		client.open()
		client.start()
		poll(t, "the server's view of the certificate", func() bool {
			c := server.dec.Connection()
			id, err := client.dec.Identity()
			if err != nil {
				t.Fatal(err)
			}
			return c.PeerPEM() == id.CertificatePEM()
		})
		client.close()
		d := &server.dec.calls
		d.mu.Lock()
		waiting := len(d.queue) - d.head
		d.mu.Unlock()
		if waiting > soonLimit {
			t.Fatalf("%d callbacks wait", waiting)
		}
		server.enc.c.mu.Lock()
		attempts := len(server.enc.c.run.attempts)
		server.enc.c.mu.Unlock()
		if attempts > 2 {
			t.Fatalf("%d attempts", attempts)
		}
	}
	client := newEnd(t, true)
	defer client.close()
	mu.Lock()
	back = client
	mu.Unlock()
	client.out = (&wiring{to: server}).send
	client.open()
	client.start()
	client.connected(1)
	server.connected(1)
	sameKeys(t, client, server)
	server.until("the certificates", func() bool { return len(server.peers) == 31 })
}
