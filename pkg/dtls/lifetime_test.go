// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every callback may stop and close everything.
func TestStopInsideCallbacks(t *testing.T) {
	for _, which := range []string{"enc send", "enc state", "enc keys", "dec state", "dec keys", "dec peer", "dec data", "dec accept"} {
		for _, what := range []string{"encoder", "decoder", "both"} {
			t.Run(which+" stops "+what, func(t *testing.T) {
				server := newEnd(t, false)
				server.open()
				defer server.close()
				id := newID()
				var enc *Encoder
				var dec *Decoder
				var once sync.Once
				done := make(chan struct{})
				var ready sync.WaitGroup
				ready.Add(1)
				on := func(name string) {
					if name != which {
						return
					}
					ready.Wait()
					once.Do(func() {
						if what != "decoder" {
							enc.Stop()
							enc.Close()
						}
						if what != "encoder" {
							dec.Close()
						}
						close(done)
					})
				}
				var err error
				if enc, err = OpenEncoder(id, "enc", EncoderHandler{
					Send: func(p []byte) error {
						on("enc send")
						return server.dec.Receive(p)
					},
					State: func(s State) {
						if s == StateConnected {
							on("enc state")
						}
					},
					Keys: func(Keys) { on("enc keys") },
				}); err != nil {
					t.Fatal(err)
				}
				if dec, err = OpenDecoder(id, "dec", DecoderConfig{Accept: func(string) bool { on("dec accept"); return true }}, DecoderHandler{
					State: func(s State) {
						if s == StateConnected {
							on("dec state")
						}
					},
					Keys:            func(Keys) { on("dec keys") },
					PeerCertificate: func(string) { on("dec peer") },
					Data:            func([]byte) { on("dec data") },
				}); err != nil {
					t.Fatal(err)
				}
				server.out = func(p []byte) error { return dec.Receive(p) }
				if which == "dec data" {
					server.start()
					_ = server.enc.Write([]byte("data"))
				} else {
					server.start()
				}
				if err := enc.Start(EncoderConfig{IsClient: true, Profiles: allProfiles, RetransmitInitial: 10 * time.Millisecond}); err != nil {
					t.Fatal(err)
				}
				ready.Done()
				select {
				case <-done:
				case <-time.After(10 * time.Second):
					t.Fatalf("the stop does not end\n%s", stacks())
				}
				enc.Close()
				dec.Close()
				if Lookup(id) {
					t.Error("the connection is still there")
				}
			})
		}
	}
}

// The two sides' callbacks stop each other at the same time.
func TestCallbacksThatStopEachOther(t *testing.T) {
	for range 20 {
		server := newEnd(t, false)
		id := newID()
		var enc *Encoder
		var dec *Decoder
		var meet, done sync.WaitGroup
		meet.Add(2)
		done.Add(2)
		var err error
		enc, err = OpenEncoder(id, "enc", EncoderHandler{
			Send: func(p []byte) error { return server.dec.Receive(p) },
			Keys: func(Keys) { meet.Done(); meet.Wait(); dec.Close(); done.Done() },
		})
		if err != nil {
			t.Fatal(err)
		}
		dec, err = OpenDecoder(id, "dec", DecoderConfig{}, DecoderHandler{
			Keys: func(Keys) { meet.Done(); meet.Wait(); enc.Close(); done.Done() },
		})
		if err != nil {
			t.Fatal(err)
		}
		server.out = func(p []byte) error { return dec.Receive(p) }
		server.open()
		server.start()
		if err := enc.Start(EncoderConfig{IsClient: true, Profiles: allProfiles, RetransmitInitial: 10 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		wait(t, &done)
		server.close()
		if Lookup(id) {
			t.Fatal("the connection is still there")
		}
	}
}

func wait(t testing.TB, wg *sync.WaitGroup) {
	t.Helper()
	c := make(chan struct{})
	go func() { wg.Wait(); close(c) }()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("it does not end\n%s", stacks())
	}
}

func TestStopFromSeveralThreads(t *testing.T) {
	for i := range 20 {
		client, server, _, _ := pair(t)
		server.start()
		client.start()
		if i%2 == 0 {
			client.connected(1)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Add(5)
			go func() { defer wg.Done(); client.enc.Stop() }()
			go func() { defer wg.Done(); client.enc.Close() }()
			go func() { defer wg.Done(); client.dec.Close() }()
			go func() { defer wg.Done(); _ = client.enc.Write([]byte("x")); client.enc.CloseNotify() }()
			go func() { defer wg.Done(); _ = client.enc.Start(client.encConfig) }()
		}
		wait(t, &wg)
		client.close()
		server.close()
	}
}

// A Send that blocks is ended by Unblock, and by nothing else: Stop ends all the same.
func TestStopWhileSendBlocks(t *testing.T) {
	for _, helped := range []bool{true, false} {
		server := newEnd(t, false)
		server.open()
		blocked, release := make(chan struct{}), make(chan struct{})
		var once, unblock sync.Once
		h := EncoderHandler{Send: func(p []byte) error {
			once.Do(func() { close(blocked) })
			<-release
			return errors.New("flushing")
		}}
		unblocked := false
		if helped {
			h.Unblock = func() { unblocked = true; unblock.Do(func() { close(release) }) }
		}
		id := newID()
		enc, err := OpenEncoder(id, "enc", h)
		if err != nil {
			t.Fatal(err)
		}
		dec, err := OpenDecoder(id, "dec", DecoderConfig{}, DecoderHandler{})
		if err != nil {
			t.Fatal(err)
		}
		if err := enc.Start(EncoderConfig{IsClient: true, RetransmitInitial: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		<-blocked
		var wg sync.WaitGroup
		wg.Add(1)
		go func() { defer wg.Done(); enc.Close(); dec.Close() }()
		wait(t, &wg)
		if unblocked != helped {
			t.Errorf("Unblock was called: %v", unblocked)
		}
		unblock.Do(func() { close(release) })
		server.close()
		if Lookup(id) {
			t.Error("the connection is still there")
		}
	}
}

// A Write waits for room in the queue; Interrupt and Stop end it.
func TestWriteWaits(t *testing.T) {
	client, server, up, _ := both(t)
	hold := make(chan struct{})
	up.mu.Lock()
	up.tap = func(p []byte) [][]byte { <-hold; return [][]byte{p} }
	up.mu.Unlock()
	var err error
	var wg sync.WaitGroup
	write := func() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for err == nil {
				err = client.enc.Write(make([]byte, 1000))
			}
		}()
	}
	full := func() {
		poll(t, "a full queue", func() bool {
			d := &client.enc.calls
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.full(1)
		})
	}
	write()
	full()
	client.enc.Interrupt(true)
	wg.Wait()
	if !errors.Is(err, ErrInterrupted) {
		t.Fatalf("Interrupt: %v", err)
	}
	client.enc.Interrupt(false)
	err = nil
	write()
	full()
	time.AfterFunc(20*time.Millisecond, func() { close(hold) })
	client.enc.Stop()
	wg.Wait()
	if !errors.Is(err, ErrInterrupted) && !errors.Is(err, ErrNotStarted) {
		t.Fatalf("Stop: %v", err)
	}
	_ = server
}

func TestSendErrors(t *testing.T) {
	client, server, _, _ := both(t)
	send := client.out
	bad := errors.New("no route")
	var mu sync.Mutex
	failing := true
	client.out = func(p []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if failing {
			return bad
		}
		return send(p)
	}
	poll(t, "the error", func() bool { return errors.Is(client.enc.Write([]byte("lost")), bad) })
	mu.Lock()
	failing = false
	mu.Unlock()
	poll(t, "the end of the error", func() bool { return client.enc.Write([]byte("there")) == nil })
	server.until("data", func() bool { return len(server.data) > 0 })
}

// A panic of a callback fails the connection, not the process.
func TestPanic(t *testing.T) {
	client, server, _, _ := pair(t)
	id := newID()
	enc, err := OpenEncoder(id, "enc", EncoderHandler{
		Send:  func([]byte) error { panic("boom") },
		State: func(s State) { client.note(func() { client.states = append(client.states, s) }) },
		Error: func(err error) { client.note(func() { client.errors = append(client.errors, err) }) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := OpenDecoder(id, "dec", DecoderConfig{}, DecoderHandler{})
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	if err := enc.Start(EncoderConfig{IsClient: true}); err != nil {
		t.Fatal(err)
	}
	client.until("the error", func() bool { return len(client.errors) == 1 && client.last() == StateFailed })
	if !strings.Contains(client.errors[0].Error(), "boom") {
		t.Errorf("the error is %v", client.errors[0])
	}
	_ = server
}

// Nothing is left of a thousand connections.
func TestNothingIsLeft(t *testing.T) {
	cycles := 1000
	if raceEnabled || testing.Short() {
		cycles = 100
	}
	connections := Connections()
	settled := func() int {
		n := 0
		for range 100 {
			time.Sleep(linger / 4)
			if m := runtime.NumGoroutine(); m == n {
				return n
			} else {
				n = m
			}
		}
		return n
	}
	before := settled()
	for i := range cycles {
		client, server := newEnd(t, true), newEnd(t, false)
		connectEnds(client, server)
		client.open()
		server.open()
		server.start()
		client.start()
		if i%4 != 3 { // and some in the middle of the handshake
			client.connected(1)
			server.connected(1)
		}
		client.close()
		server.close()
	}
	if n := Connections(); n != connections {
		t.Errorf("%d connections are left", n-connections)
	}
	poll(t, "the end of all goroutines", func() bool { return settled() <= before })
}

// An established connection has no goroutine.
func TestIdleConnectionsHaveNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		both(t)
	}
	poll(t, "the end of the handshakes' goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

// A fatal alert of the peer that authenticates ends the session.
func TestFatalAlert(t *testing.T) {
	client, server, _, _ := both(t)
	c := client.enc.Connection()
	c.mu.Lock()
	c.run.session.sendRecord(typeAlert, []byte{1, 90}) // a warning does not
	c.run.session.sendRecord(typeAlert, []byte{2, 80})
	c.mu.Unlock()
	server.until("the error", func() bool { return len(server.errors) == 1 && server.last() == StateFailed })
	var alert *AlertError
	if !errors.As(server.errors[0], &alert) || !strings.Contains(alert.Error(), "internal_error(80)") {
		t.Errorf("the error is %v", server.errors[0])
	}
}

// There is no renegotiation: a ClientHello inside a session is refused.
func TestRenegotiation(t *testing.T) {
	client, server, _, down := both(t)
	alerts := 0
	down.mu.Lock()
	down.tap = func(p []byte) [][]byte {
		if p[0] == typeAlert {
			alerts++
		}
		return [][]byte{p}
	}
	down.mu.Unlock()
	c := client.enc.Connection()
	c.mu.Lock()
	c.run.session.sendRecord(typeHandshake, append([]byte{msgClientHello, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0, 1}, 0))
	c.run.session.sendRecord(typeHandshake, []byte{msgClientHello})
	c.mu.Unlock()
	exchange(t, client, server)
	down.mu.Lock()
	defer down.mu.Unlock()
	if alerts != 1 || server.last() != StateConnected {
		t.Errorf("%d alerts, state %v", alerts, server.last())
	}
}

// The server's last flight is lost again and again: the client asks for it.
func TestTheLastFlightIsLost(t *testing.T) {
	client, server, _, down := pair(t)
	lost := 0
	down.tap = func(p []byte) [][]byte {
		if p[0] == typeChangeCipherSpec && lost < 3 {
			lost++
			return nil
		}
		return [][]byte{p}
	}
	if err := server.enc.Start(server.encConfig); err != nil {
		t.Fatal(err)
	}
	// It sends data at once, which comes before the client has the Finished.
	if err := server.enc.Write([]byte("early")); err != nil {
		t.Fatal(err)
	}
	client.start()
	client.connected(1)
	server.connected(1)
	client.until("the early data", func() bool { return len(client.data) == 1 })
	exchange(t, client, server)
	if lost != 3 {
		t.Errorf("lost %d times", lost)
	}
	for name, e := range map[string]*end{"client": client, "server": server} {
		st := e.enc.Connection().Stats()
		if st.Retransmissions < 3 || len(st.Dropped) != 0 {
			t.Errorf("the %s: %+v", name, st)
		}
	}
}

// The time limit of the handshake is not one of the connection.
func TestTheTimeoutEndsWithTheHandshake(t *testing.T) {
	client, server, _, _ := pair(t)
	client.encConfig.HandshakeTimeout, server.encConfig.HandshakeTimeout = time.Second, time.Second
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	client.enc.Stop()
	server.until("closed", func() bool { return server.last() == StateClosed })
	time.Sleep(1100 * time.Millisecond)
	client.start()
	client.connected(2)
	server.connected(2)
	if len(client.errors)+len(server.errors) != 0 {
		t.Errorf("errors %v %v", client.errors, server.errors)
	}
}
