// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

// hurried makes a client give up a flight soon.
func hurried(e *end) {
	e.encConfig.RetransmitInitial, e.encConfig.RetransmitMax = 5*time.Millisecond, 20*time.Millisecond
}

// The server's last flight is lost until the client gives the attempt up. Its next
// one has the same random, which the server's session began with.
func TestAClientThatMissedTheServersFinished(t *testing.T) {
	client, server, up, down := pair(t)
	hurried(client)
	var cut atomic.Bool
	var stalled atomic.Int32
	down.tap = func(p []byte) [][]byte {
		if p[0] == typeChangeCipherSpec {
			cut.Store(true)
		}
		if cut.Load() {
			return nil
		}
		return [][]byte{p}
	}
	up.tap = func(p []byte) [][]byte {
		if msg, _ := messageOf(p); msg == msgClientHello && cut.Load() {
			stalled.Add(1)
		}
		return [][]byte{p}
	}
	server.start()
	client.start()
	server.connected(1)
	poll(t, "the next attempt", func() bool { return stalled.Load() > 0 })
	down.mu.Lock()
	down.tap = nil
	down.mu.Unlock()
	client.connected(1)
	server.connected(2)
	sameKeys(t, client, server)
	exchange(t, client, server)
}

// The server's application takes longer to accept than the client waits.
func TestAcceptSlowerThanTheClient(t *testing.T) {
	client, server, _, _ := pair(t)
	hurried(client)
	var asked atomic.Int32
	server.dec.Configure(DecoderConfig{Accept: func(string) bool {
		asked.Add(1)
		time.Sleep(300 * time.Millisecond)
		return true
	}})
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	poll(t, "the same keys", func() bool {
		a, ok := client.enc.Connection().Keys()
		b, ok2 := server.enc.Connection().Keys()
		return ok && ok2 && bytes.Equal(a.Local, b.Remote)
	})
	exchange(t, client, server)
	if n := asked.Load(); n != 1 {
		t.Errorf("Accept was asked %d times", n)
	}
}

// A verdict counts also when the attempt that asked for it has ended meanwhile.
func TestAVerdictOutlivesItsAttempt(t *testing.T) {
	client, server, up, down := pair(t)
	server.encConfig.HandshakeTimeout = time.Second // beside a session, the attempt's life
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)

	var asked atomic.Int32
	go2 := make(chan struct{})
	server.dec.Configure(DecoderConfig{Accept: func(string) bool {
		asked.Add(1)
		<-go2
		return true
	}})
	up.mu.Lock()
	up.to = nil
	up.mu.Unlock()
	other := newEnd(t, true)
	t.Cleanup(other.close)
	hurried(other)
	other.out = (&wiring{to: server}).send
	down.mu.Lock()
	down.to = other
	down.mu.Unlock()
	other.open()
	other.start()
	poll(t, "the question", func() bool { return asked.Load() == 1 })
	c := server.enc.Connection()
	attempts := func() (first uint64) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.run.attempts) > 0 {
			first = c.run.attempts[0].order
		}
		return first
	}
	began := attempts()
	poll(t, "the end of the attempt that asked", func() bool { return attempts() != began })
	close(go2)
	other.connected(1)
	server.connected(2)
	if n := asked.Load(); n != 1 {
		t.Errorf("Accept was asked %d times", n)
	}
}

// A late copy of a session's ClientHello, with a cookie that is still valid,
// begins nothing.
func TestALateHelloBesideAnotherAttempt(t *testing.T) {
	server := newEnd(t, false)
	t.Cleanup(server.close)
	var mu sync.Mutex
	var to *end
	server.out = func(p []byte) error {
		mu.Lock()
		w := &wiring{to: to}
		mu.Unlock()
		return w.send(p)
	}
	server.open()
	server.start()
	var hello []byte
	connect := func(tap func(p []byte) [][]byte) *end {
		e := newEnd(t, true)
		t.Cleanup(e.close)
		e.encConfig.RetransmitInitial = time.Hour
		e.encConfig.RetransmitMax = time.Hour
		mu.Lock()
		to = e
		mu.Unlock()
		e.out = (&wiring{to: server, tap: tap}).send
		e.open()
		e.start()
		return e
	}
	c := server.enc.Connection()
	count := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.run.attempts)
	}
	// The first client's flight is kept back until the second one has begun.
	var kept [][]byte
	first := connect(func(p []byte) [][]byte {
		if msg, _ := messageOf(p); msg != msgClientHello {
			mu.Lock()
			kept = append(kept, p)
			mu.Unlock()
			return nil
		}
		mu.Lock()
		hello = p
		mu.Unlock()
		return [][]byte{p}
	})
	poll(t, "the first flight", func() bool { mu.Lock(); defer mu.Unlock(); return len(kept) > 0 })
	connect(func(p []byte) [][]byte {
		if msg, _ := messageOf(p); msg != msgClientHello {
			return nil
		}
		return [][]byte{p}
	})
	poll(t, "the second attempt", func() bool { return count() == 2 })
	mu.Lock()
	to = first
	send := kept
	late := hello
	mu.Unlock()
	for _, p := range send {
		_ = server.dec.Receive(p)
	}
	first.connected(1)
	server.connected(1)
	if n := count(); n != 1 {
		t.Fatalf("%d attempts", n)
	}
	_ = server.dec.Receive(late)
	if n := count(); n != 1 {
		t.Errorf("a late copy of the ClientHello began an attempt: %d", n)
	}
}

// Somebody answers by forged HelloVerifyRequests before the server is there. The
// server then has no cookies of its own, which would contradict the forged one.
func TestAClientForgetsACookieThatLeadsNowhere(t *testing.T) {
	client := newEnd(t, true)
	t.Cleanup(client.close)
	hurried(client)
	var followed, forgotten atomic.Bool
	client.out = func(p []byte) error {
		msg, first := messageOf(p)
		if msg != msgClientHello || !first {
			return nil
		}
		if binary.BigEndian.Uint16(p[headerSize+4:]) == 1 {
			followed.Store(true)
		} else if followed.Load() {
			forgotten.Store(true)
		}
		if !followed.Load() { // the number cannot be known: any other
			b := make([]byte, headerSize, 64)
			putHeader(b, typeHandshake, 0, recordSequence(p)+1000, messageHeader+7)
			b = append(b, msgHelloVerifyRequest, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 7, 0xfe, 0xff, 4, 1, 2, 3, 4)
			_ = client.dec.Receive(b)
		}
		return nil
	}
	client.open()
	client.start()
	poll(t, "the forged cookie", followed.Load)
	poll(t, "a ClientHello without it", forgotten.Load)
}

// A record that is longer than RFC 6347 allows is dropped, also of a true peer.
func TestTooLongRecordOfThePeer(t *testing.T) {
	client, server, _, _ := pair(t)
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	c := client.enc.Connection()
	c.mu.Lock()
	c.run.session.write(make([]byte, maxPlaintext+1))
	c.mu.Unlock()
	exchange(t, client, server)
	server.mu.Lock()
	defer server.mu.Unlock()
	if len(server.data) != 1 {
		t.Errorf("%d records, the first of %d bytes", len(server.data), len(server.data[0]))
	}
	if n := server.enc.Connection().Stats().Dropped[wire.DropMalformed]; n != 1 {
		t.Errorf("dropped %d", n)
	}
}

// Records that wait for the application's verdict do not keep the large datagrams
// in which they came.
func TestHeldRecordsKeepNoDatagrams(t *testing.T) {
	client, server, _, _ := pair(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	server.dec.Configure(DecoderConfig{Accept: func(string) bool {
		close(asked)
		<-answer
		return true
	}})
	server.start()
	client.start()
	<-asked
	c := server.enc.Connection()
	c.mu.Lock()
	a := c.run.attempts[0]
	c.mu.Unlock()
	memory := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := memory()
	for i := range attemptDatagrams {
		p := make([]byte, 60000) // what follows the record is none
		putHeader(p, typeData, 1, uint64(i), overhead+1)
		_ = server.dec.Receive(p)
		poll(t, "the record", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.in) == 0 && !a.scheduled
		})
	}
	if after := memory(); after > before+1<<20 {
		t.Errorf("%d kB are kept for records of %d bytes", (after-before)>>10, attemptDatagrams*(headerSize+overhead+1))
	}
	close(answer)
	client.connected(1)
	server.connected(1)
}

// An attempt that is called off leaves no timer of its next one.
func TestStoppedRetryLeavesNoTimer(t *testing.T) {
	cl, server, _, _ := pair(t)
	server.start()
	cl.start()
	cl.connected(1)
	server.connected(1)
	c := cl.enc.Connection()
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.run.timers)
	for range 3 {
		c.run.again(&attempt{from: &client{wait: time.Hour}}, errStalled)
		c.run.stopAttempts()
	}
	if n := len(c.run.timers); n != before {
		t.Errorf("%d timers, %d before", n, before)
	}
}

// Who can only guess, as that a ServerHelloDone came, does not make a client send
// its flight again.
func TestGuessedServerHelloDone(t *testing.T) {
	client, server, up, _ := pair(t)
	client.encConfig.RetransmitInitial, client.encConfig.RetransmitMax = time.Hour, time.Hour
	server.encConfig.RetransmitInitial, server.encConfig.RetransmitMax = time.Hour, time.Hour
	flight := make(chan struct{}, 100)
	up.tap = func(p []byte) [][]byte {
		if msg, _ := messageOf(p); msg == msgClientHello {
			return [][]byte{p}
		}
		flight <- struct{}{}
		return nil
	}
	server.start()
	client.start()
	<-flight
	c := client.enc.Connection()
	for range 3 {
		time.Sleep(kickAfter + 5*time.Millisecond)
		_ = client.dec.Receive((&spoofer{rng: rand.New(rand.NewPCG(1, 1))}).message(14, 5, nil))
		poll(t, "the datagram's end", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			a := c.run.attempts[0]
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.in) == 0 && !a.scheduled
		})
	}
	time.Sleep(20 * time.Millisecond)
	if n := c.Stats().Retransmissions; n != 0 {
		t.Errorf("%d retransmissions", n)
	}
}

// What an attempt has seen is in the error of the handshake also when the attempt
// was given up.
func TestTheHintOfAnAttemptThatWasGivenUp(t *testing.T) {
	client, server, up, _ := pair(t)
	client.encConfig.RetransmitInitial, client.encConfig.RetransmitMax = 5*time.Millisecond, 50*time.Millisecond
	client.encConfig.HandshakeTimeout = 350 * time.Millisecond // one attempt, and the beginning of another
	alert := make([]byte, headerSize, headerSize+2)
	putHeader(alert, typeAlert, 0, 77, 2)
	alert = append(alert, 2, 42)
	var once sync.Once
	up.tap = func(p []byte) [][]byte {
		if msg, _ := messageOf(p); msg == msgClientHello {
			return [][]byte{p}
		}
		once.Do(func() { _ = client.dec.Receive(alert) })
		return nil
	}
	server.start()
	client.start()
	client.untilState(StateFailed)
	client.until("the error", func() bool { return len(client.errors) > 0 })
	client.mu.Lock()
	defer client.mu.Unlock()
	if err := client.errors[0]; !strings.Contains(err.Error(), "bad_certificate(42)") {
		t.Error(err)
	}
}
