// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func both(t testing.TB) (client, server *end, up, down *wiring) {
	t.Helper()
	client, server, up, down = pair(t)
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	return client, server, up, down
}

func (w *wiring) cut(to *end) {
	w.mu.Lock()
	w.to = to
	w.mu.Unlock()
}

// A client that stops says so; started again it connects again.
func TestRestartOfTheClient(t *testing.T) {
	client, server, _, _ := both(t)
	client.enc.Stop()
	if s := client.enc.Connection().State(); s != StateClosed {
		t.Errorf("state %v after Stop", s)
	}
	server.until("closed", func() bool { return server.closed == 1 && server.last() == StateClosed })
	client.start()
	client.connected(2)
	server.connected(2)
	sameKeys(t, client, server)
	exchange(t, client, server)
}

// A client that vanishes and comes back gets a second session; the first one
// lives until then.
func TestRestartOfAClientThatVanished(t *testing.T) {
	client, server, up, down := both(t)
	up.cut(nil)
	down.cut(nil)
	client.close()

	again := newEnd(t, true)
	defer again.close()
	again.out = up.send
	again.open()
	// The old session still sends while the new one shakes hands.
	if err := server.enc.Write([]byte("to the old one")); err != nil {
		t.Fatal(err)
	}
	up.cut(server)
	down.cut(again)
	again.start()
	again.connected(1)
	server.connected(2)
	sameKeys(t, again, server)
	exchange(t, again, server)
	if n := len(server.states); server.closed != 0 || server.states[n-1] != StateConnected || n != 2 {
		t.Errorf("the server went through %v, %d times closed", server.states, server.closed)
	}
	if a, b := server.encKeys[0], server.encKeys[1]; a.Generation != 1 || b.Generation != 2 {
		t.Errorf("generations %d and %d", a.Generation, b.Generation)
	}
}

// Until the new handshake completes, the old session is the session.
func TestTheOldSessionLives(t *testing.T) {
	client, server, up, _ := both(t)
	other := newEnd(t, true)
	defer other.close()
	toServer := &wiring{to: server}
	n := 0
	var verify []byte
	other.out = func(p []byte) error {
		if n++; n <= 2 {
			return toServer.send(p) // two ClientHellos, and then nothing
		}
		return nil
	}
	_, fromServer := up, server.out
	server.out = func(p []byte) error {
		if len(p) > headerSize && p[0] == typeHandshake && p[headerSize] == msgHelloVerifyRequest {
			verify = append([]byte(nil), p...)
			return other.dec.Receive(p)
		}
		return fromServer(p)
	}
	other.open()
	other.start()
	poll(t, "the second attempt", func() bool {
		c := server.enc.Connection()
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.run.attempts) == 1
	})
	_ = verify
	exchange(t, client, server)
	if server.last() != StateConnected || len(server.encKeys) != 1 {
		t.Errorf("states %v", server.states)
	}
}

func TestRestartOfTheServer(t *testing.T) {
	client, server, _, _ := both(t)
	server.enc.Stop()
	client.until("closed", func() bool { return client.closed == 1 && client.last() == StateClosed })
	server.start()
	client.enc.Stop()
	client.start()
	client.connected(2)
	server.connected(2)
	sameKeys(t, client, server)
}

func TestRestartOfBoth(t *testing.T) {
	client, server, _, _ := both(t)
	for i := range 5 {
		client.enc.Stop()
		server.enc.Stop()
		client.start()
		server.start()
		client.connected(2 + i)
		server.connected(2 + i)
		sameKeys(t, client, server)
	}
}

// A decoder alone may go and come back.
func TestRestartOfADecoder(t *testing.T) {
	client, server, _, _ := both(t)
	server.dec.Close()
	client.until("closed", func() bool { return client.closed == 1 })
	server.openDecoder()
	client.enc.Stop()
	client.start()
	client.connected(2)
	server.connected(2)
	sameKeys(t, client, server)

	client.dec.Close()
	server.until("closed", func() bool { return server.closed == 2 || server.last() == StateClosed })
	client.openDecoder()
	client.connected(3)
	server.connected(3)
	exchange(t, client, server)
}

// A client finds out that its server has restarted.
func TestPeerTimeout(t *testing.T) {
	client, server, up, down := pair(t)
	client.encConfig.PeerTimeout = 100 * time.Millisecond
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	up.cut(nil)
	down.cut(nil)
	server.close()

	again := newEnd(t, false)
	defer again.close()
	again.out = down.send
	again.open()
	up.cut(again)
	down.cut(client)
	again.start()
	client.connected(2)
	again.connected(1)
	sameKeys(t, client, again)
	exchange(t, client, again)
	for _, s := range client.states[1:] {
		if s != StateConnected {
			t.Errorf("the client went through %v", client.states)
		}
	}
}

// What authenticates outside of DTLS is a sign of life.
func TestAlive(t *testing.T) {
	client, server, up, _ := pair(t)
	client.encConfig.PeerTimeout = 80 * time.Millisecond
	server.start()
	client.start()
	client.connected(1)
	for range 60 {
		client.dec.Alive()
		time.Sleep(5 * time.Millisecond)
	}
	up.mu.Lock()
	n := up.count
	up.mu.Unlock()
	if client.enc.Connection().Stats().Handshakes != 1 {
		t.Errorf("another handshake was made, %d datagrams", n)
	}
}

// The end of the silent peer: no answer within the handshake's timeout.
func TestPeerTimeoutWithoutAnswer(t *testing.T) {
	client, server, up, down := pair(t)
	client.encConfig.PeerTimeout = 50 * time.Millisecond
	client.encConfig.HandshakeTimeout = 300 * time.Millisecond
	server.start()
	client.start()
	client.connected(1)
	up.cut(nil)
	down.cut(nil)
	server.close()
	client.untilState(StateFailed)
	client.until("the error", func() bool { return len(client.errors) > 0 })
	var timeout *TimeoutError
	if !errors.As(client.errors[0], &timeout) || !strings.Contains(timeout.Error(), "silent") {
		t.Errorf("the error is %v", client.errors[0])
	}
}

func TestBothClients(t *testing.T) {
	a, b := newEnd(t, true), newEnd(t, true)
	sameRole(t, a, b, "both ends are clients")
}

func TestBothServers(t *testing.T) {
	a, b := newEnd(t, false), newEnd(t, false)
	sameRole(t, a, b, "both ends servers")
}

func sameRole(t *testing.T, a, b *end, hint string) {
	connectEnds(a, b)
	for _, e := range []*end{a, b} {
		defer e.close()
		e.encConfig.HandshakeTimeout = 200 * time.Millisecond
		e.open()
		e.start()
	}
	for _, e := range []*end{a, b} {
		e.untilState(StateFailed)
		e.until("the error", func() bool { return len(e.errors) > 0 })
		var timeout *TimeoutError
		if !errors.As(e.errors[0], &timeout) || !strings.Contains(timeout.Error(), hint) || !strings.Contains(timeout.Error(), "200ms") {
			t.Errorf("the error is %v", e.errors[0])
		}
		if err := e.enc.Write([]byte("x")); !errors.Is(err, ErrFailed) {
			t.Errorf("Write: %v", err)
		}
		if len(e.encKeys)+len(e.decKeys) != 0 {
			t.Error("there are keys")
		}
		// Stop and Start begin anew.
		e.enc.Stop()
		e.encConfig.IsClient = e == a
	}
	a.start()
	b.start()
	a.connected(1)
	b.connected(1)
}
