// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

var allProfiles = []srtp.Profile{srtp.AEADAES256GCM, srtp.AEADAES128GCM, srtp.AES128CMHMACSHA1_80, srtp.AES128CMHMACSHA1_32}

var serial atomic.Uint64

func newID() string { return fmt.Sprintf("test-%d", serial.Add(1)) }

// end is one end of a link: an encoder, a decoder and what they said.
type end struct {
	t   testing.TB
	id  string
	enc *Encoder
	dec *Decoder
	out func(p []byte) error // what Send does; set before Start

	encConfig EncoderConfig
	decConfig DecoderConfig

	mu       sync.Mutex
	cond     *sync.Cond
	states   []State
	encKeys  []Keys
	decKeys  []Keys
	data     [][]byte
	peers    []string
	errors   []error
	warnings []error
	closed   int // of the decoder
	closedE  int // of the encoder
	gone     bool
}

func newEnd(t testing.TB, client bool) *end {
	e := &end{t: t, id: newID()}
	e.cond = sync.NewCond(&e.mu)
	e.encConfig = EncoderConfig{IsClient: client, Profiles: allProfiles, RetransmitInitial: 20 * time.Millisecond, HandshakeTimeout: 10 * time.Second}
	return e
}

func (e *end) note(fn func()) {
	e.mu.Lock()
	fn()
	e.cond.Broadcast()
	e.mu.Unlock()
}

func (e *end) openEncoder() {
	e.t.Helper()
	var err error
	e.enc, err = OpenEncoder(e.id, "enc", EncoderHandler{
		Send:    func(p []byte) error { return e.out(p) },
		State:   func(s State) { e.note(func() { e.states = append(e.states, s) }) },
		Keys:    func(k Keys) { e.note(func() { e.encKeys = append(e.encKeys, k) }) },
		Error:   func(err error) { e.note(func() { e.errors = append(e.errors, err) }) },
		Warning: func(err error) { e.note(func() { e.warnings = append(e.warnings, err) }) },
		Closed:  func() { e.note(func() { e.closedE++ }) },
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *end) openDecoder() {
	e.t.Helper()
	dec, err := OpenDecoder(e.id, "dec", e.decConfig, DecoderHandler{
		Data:            func(p []byte) { e.note(func() { e.data = append(e.data, p) }) },
		Keys:            func(k Keys) { e.note(func() { e.decKeys = append(e.decKeys, k) }) },
		PeerCertificate: func(pem string) { e.note(func() { e.peers = append(e.peers, pem) }) },
		Warning:         func(err error) { e.note(func() { e.warnings = append(e.warnings, err) }) },
		Closed:          func() { e.note(func() { e.closed++ }) },
	})
	e.note(func() { e.dec = dec })
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *end) start() {
	e.t.Helper()
	if err := e.enc.Start(e.encConfig); err != nil {
		e.t.Fatal(err)
	}
}

func (e *end) open() {
	e.openDecoder()
	e.openEncoder()
}

func (e *end) close() {
	e.mu.Lock()
	e.gone = true
	e.mu.Unlock()
	if e.enc != nil {
		e.enc.Close()
	}
	if e.dec != nil {
		e.dec.Close()
	}
}

// until waits for a condition on what the end was told.
func (e *end) until(what string, cond func() bool) {
	e.t.Helper()
	late := false
	t := time.AfterFunc(20*time.Second, func() { e.note(func() { late = true }) })
	defer t.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for !cond() {
		if late {
			e.t.Fatalf("%s did not come: states %v, errors %v, warnings %v, keys %d/%d, stats %+v\n%s", what, e.states, e.errors, e.warnings, len(e.encKeys), len(e.decKeys), e.enc.Connection().Stats(), stacks())
		}
		e.cond.Wait()
	}
}

// poll waits for something that nobody tells.
func poll(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come\n%s", what, stacks())
		}
	}
}

func stacks() string {
	if !testing.Verbose() {
		return ""
	}
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

func (e *end) last() State {
	if len(e.states) == 0 {
		return StateNew
	}
	return e.states[len(e.states)-1]
}

func (e *end) untilState(s State) {
	e.t.Helper()
	e.until("state "+s.String(), func() bool { return e.last() == s })
}

func (e *end) connected(generation int) {
	e.t.Helper()
	e.until("connected", func() bool {
		return e.last() == StateConnected && len(e.encKeys) >= generation && len(e.decKeys) >= generation
	})
}

// wiring is how datagrams get from one end to another.
type wiring struct {
	mu      sync.Mutex
	rng     *rand.Rand
	loss    float64
	dup     float64
	reorder float64
	kept    []byte
	to      *end
	tap     func(p []byte) [][]byte // what goes instead; nil: p
	count   int
}

func (w *wiring) send(p []byte) error {
	w.mu.Lock()
	w.count++
	var out [][]byte
	in := [][]byte{p}
	if w.tap != nil {
		in = w.tap(p)
	}
	for _, p := range in {
		if w.rng != nil {
			if w.rng.Float64() < w.loss {
				continue
			}
			if w.kept == nil && w.rng.Float64() < w.reorder {
				w.kept = p
				continue
			}
			if w.rng.Float64() < w.dup {
				out = append(out, p)
			}
		}
		out = append(out, p)
		if w.kept != nil {
			out = append(out, w.kept)
			w.kept = nil
		}
	}
	to := w.to
	w.mu.Unlock()
	if to == nil {
		return nil
	}
	to.mu.Lock()
	dec := to.dec
	gone := to.gone
	to.mu.Unlock()
	if dec != nil && !gone {
		for _, p := range out {
			_ = dec.Receive(p)
		}
	}
	return nil
}

// wire connects two ends.
func connectEnds(a, b *end) (ab, ba *wiring) {
	ab, ba = &wiring{to: b}, &wiring{to: a}
	a.out, b.out = ab.send, ba.send
	return ab, ba
}

// pair makes a client and a server that are wired and open.
func pair(t testing.TB) (client, server *end, up, down *wiring) {
	client, server = newEnd(t, true), newEnd(t, false)
	up, down = connectEnds(client, server)
	t.Cleanup(func() { client.close(); server.close() })
	client.open()
	server.open()
	return client, server, up, down
}

func sameKeys(t testing.TB, a, b *end) {
	t.Helper()
	a.mu.Lock()
	ka, ka2 := a.encKeys[len(a.encKeys)-1], a.decKeys[len(a.decKeys)-1]
	a.mu.Unlock()
	b.mu.Lock()
	kb := b.decKeys[len(b.decKeys)-1]
	b.mu.Unlock()
	if ka.Generation != ka2.Generation || !bytes.Equal(ka.Local, ka2.Local) {
		t.Fatal("the sides of one connection have different keys")
	}
	if ka.Profile != kb.Profile || !bytes.Equal(ka.Local, kb.Remote) || !bytes.Equal(ka.Remote, kb.Local) || bytes.Equal(ka.Local, ka.Remote) {
		t.Fatalf("the ends have different keys (profiles %v and %v)", ka.Profile, kb.Profile)
	}
	if want := ka.Profile.KeyLen() + ka.Profile.SaltLen(); len(ka.Local) != want || len(ka.Remote) != want {
		t.Fatalf("keys of %d and %d bytes for %v", len(ka.Local), len(ka.Remote), ka.Profile)
	}
}

// exchange sends data both ways.
func exchange(t testing.TB, a, b *end) {
	t.Helper()
	for _, x := range [][2]*end{{a, b}, {b, a}} {
		text := []byte(fmt.Sprintf("hello %d", serial.Add(1)))
		if err := x[0].enc.Write(text); err != nil {
			t.Fatal(err)
		}
		x[1].until("data", func() bool {
			for _, d := range x[1].data {
				if bytes.Equal(d, text) {
					return true
				}
			}
			return false
		})
	}
}
