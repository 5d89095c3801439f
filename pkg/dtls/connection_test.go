// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

func TestConnect(t *testing.T) {
	client, server, _, _ := pair(t)
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	sameKeys(t, client, server)
	exchange(t, client, server)
	for _, e := range []*end{client, server} {
		c := e.enc.Connection()
		st := c.Stats()
		if st.Version != 0xfefd || c.Version() != 0xfefd || st.Profile != "SRTP_AEAD_AES_256_GCM" || st.Handshakes != 1 ||
			!strings.HasPrefix(st.PeerFingerprint, "sha-256 ") || st.State != StateConnected || st.HandshakeDuration <= 0 || len(st.Dropped) != 0 {
			t.Errorf("stats %+v", st)
		}
		if st.PacketsSent < 4 || st.PacketsReceived < 4 || st.BytesSent < 500 || st.BytesReceived < 500 {
			t.Errorf("traffic %+v", st)
		}
		if k, ok := c.Keys(); !ok || !bytes.Equal(k.Local, e.encKeys[0].Local) {
			t.Error("Keys differ from those of the callback")
		}
		if len(e.peers) != 1 || c.PeerPEM() != e.peers[0] || !strings.HasPrefix(e.peers[0], "-----BEGIN CERTIFICATE-----") {
			t.Errorf("peer certificates %q", e.peers)
		}
		e.until("the warning", func() bool { return len(e.warnings) == 1 })
		if w := e.warnings[0].Error(); !strings.Contains(w, st.PeerFingerprint) || !strings.Contains(w, "peer-fingerprint") {
			t.Errorf("the warning is %q", w)
		}
	}
}

func TestClose(t *testing.T) {
	client, server, _, _ := pair(t)
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	for i := range 20 {
		if err := client.enc.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	client.enc.CloseNotify()
	client.enc.CloseNotify() // once is enough
	server.until("closed", func() bool { return server.closed == 1 && server.last() == StateClosed })
	client.until("closed", func() bool { return client.closedE == 1 && client.last() == StateClosed })
	if len(server.data) != 20 {
		t.Errorf("%d records came before Closed", len(server.data))
	}
	if server.closedE != 0 {
		t.Error("an encoder that was not asked to close was told Closed")
	}
	for _, e := range []*end{client, server} {
		if err := e.enc.Write([]byte("late")); !errors.Is(err, ErrClosed) {
			t.Errorf("Write: %v", err)
		}
	}
}

func TestCloseWithoutAnswer(t *testing.T) {
	client, server, _, down := pair(t)
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	down.mu.Lock()
	down.to = nil
	down.mu.Unlock()
	client.enc.CloseNotify()
	client.until("closed", func() bool { return client.closedE == 1 && client.last() == StateClosed })
}

func TestCloseBeforeTheHandshake(t *testing.T) {
	client := newEnd(t, true)
	connectEnds(client, &end{})
	defer client.close()
	client.open()
	client.start()
	client.enc.CloseNotify()
	client.until("closed", func() bool { return client.closedE == 1 && client.last() == StateClosed })

	other := newEnd(t, true)
	connectEnds(other, &end{})
	defer other.close()
	other.openEncoder() // and no decoder
	other.start()
	other.enc.CloseNotify()
	other.until("closed", func() bool { return other.closedE == 1 })
}

// Data that is held for the handshake goes out before close_notify.
func TestCloseInTheHandshake(t *testing.T) {
	client, server, _, _ := pair(t)
	client.start()
	if err := client.enc.Write([]byte("held")); err != nil {
		t.Fatal(err)
	}
	client.enc.CloseNotify()
	server.start()
	server.until("closed", func() bool { return server.closed == 1 })
	client.until("closed", func() bool { return client.closedE == 1 })
	if len(server.data) != 1 || string(server.data[0]) != "held" {
		t.Errorf("got %q", server.data)
	}
}

func TestEveryOrder(t *testing.T) {
	steps := []string{"encoder", "decoder", "start"}
	orders := [][]int{{0, 1, 2}, {1, 0, 2}, {0, 2, 1}}
	for _, c := range orders {
		for _, s := range orders {
			for _, clientFirst := range []bool{true, false} {
				name := fmt.Sprint(steps[c[0]], steps[c[1]], steps[c[2]], "-", steps[s[0]], steps[s[1]], steps[s[2]], "-", clientFirst)
				t.Run(name, func(t *testing.T) {
					client, server := newEnd(t, true), newEnd(t, false)
					connectEnds(client, server)
					defer client.close()
					defer server.close()
					do := func(e *end, order []int) {
						for _, i := range order {
							[]func(){e.openEncoder, e.openDecoder, e.start}[i]()
						}
					}
					if clientFirst {
						do(client, c)
						do(server, s)
					} else {
						do(server, s)
						do(client, c)
					}
					client.connected(1)
					server.connected(1)
					sameKeys(t, client, server)
				})
			}
		}
	}
}

// The first datagram comes before the encoder is started: it is kept.
func TestDatagramsBeforeStart(t *testing.T) {
	client, server, _, _ := pair(t)
	client.encConfig.RetransmitInitial = time.Hour
	client.encConfig.RetransmitMax = time.Hour
	client.start()
	poll(t, "a datagram", func() bool { return server.dec.Connection().Stats().PacketsReceived > 0 })
	server.start()
	client.connected(1)
	server.connected(1)

}

func TestHeldDatagramsAreBounded(t *testing.T) {
	for _, size := range []int{1, 1000, 5000, heldBytes} {
		c := newConnection("x")
		for range 100 {
			c.hold(make([]byte, size))
		}
		want := min(heldDatagrams, heldBytes/size)
		if len(c.held) != want || c.heldBytes != want*size || c.counters.dropped[wire.DropQueueFull].Load() != uint64(100-want) {
			t.Errorf("%d datagrams of %d bytes are held", len(c.held), size)
		}
	}
	c := newConnection("x")
	c.hold(make([]byte, heldBytes+1))
	if len(c.held) != 0 {
		t.Error("a datagram beyond the bound is held")
	}
}

func TestLoss(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			client, server, up, down := pair(t)
			for i, w := range []*wiring{up, down} {
				w.rng = rand.New(rand.NewPCG(seed, uint64(i)))
				w.loss, w.dup, w.reorder = 0.25, 0.2, 0.2
			}
			if seed%2 == 1 { // all is fragmented
				client.encConfig.MTU, server.encConfig.MTU = 256, 256
			}
			client.encConfig.RetransmitInitial, server.encConfig.RetransmitInitial = 5*time.Millisecond, 5*time.Millisecond
			client.encConfig.RetransmitMax, server.encConfig.RetransmitMax = 20*time.Millisecond, 20*time.Millisecond
			server.start()
			client.start()
			client.connected(1)
			server.connected(1)
			sameKeys(t, client, server)
			for _, w := range []*wiring{up, down} {
				w.mu.Lock()
				w.rng = nil
				w.mu.Unlock()
			}
			exchange(t, client, server)
		})
	}
}

// No datagram of the handshake is longer than the MTU.
func TestMTU(t *testing.T) {
	for _, mtu := range []int{256, 300, 1200} {
		client, server, up, down := pair(t)
		longest := 0
		tap := func(p []byte) [][]byte {
			longest = max(longest, len(p))
			return [][]byte{p}
		}
		up.tap = tap
		var longestDown int
		down.tap = func(p []byte) [][]byte {
			longestDown = max(longestDown, len(p))
			return [][]byte{p}
		}
		client.encConfig.MTU, server.encConfig.MTU = mtu, mtu
		server.start()
		client.start()
		client.connected(1)
		server.connected(1)
		client.close()
		server.close()
		if longest > mtu || longestDown > mtu || longest < mtu/2 && mtu < 600 {
			t.Errorf("MTU %d: datagrams of %d and %d bytes", mtu, longest, longestDown)
		}
	}
}

func TestHeldWrites(t *testing.T) {
	client, server, _, _ := pair(t)
	if err := client.enc.Write([]byte("x")); !errors.Is(err, ErrNotStarted) {
		t.Errorf("before Start: %v", err)
	}
	client.start()
	for i := range queuePackets {
		if err := client.enc.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.enc.Write([]byte("x")); !errors.Is(err, ErrBeforeHandshake) {
		t.Errorf("over the bound: %v", err)
	}
	if n := client.enc.Connection().Stats().Dropped[wire.DropBeforeKey]; n != 1 {
		t.Errorf("%d are counted as dropped, want 1", n)
	}
	if err := client.enc.Write(make([]byte, maxPlaintext+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	server.start()
	client.connected(1)
	if err := client.enc.Write([]byte{queuePackets}); err != nil {
		t.Fatal(err)
	}
	server.until("data", func() bool { return len(server.data) == queuePackets+1 })
	for i, d := range server.data {
		if len(d) != 1 || d[0] != byte(i) {
			t.Fatalf("record %d is %v", i, d)
		}
	}
}

// Data that was held for a handshake that does not come is counted when it is given up.
func TestHeldWritesGivenUp(t *testing.T) {
	for name, giveUp := range map[string]func(*end){
		"stop":    func(e *end) { e.enc.Stop() },
		"close":   func(e *end) { e.enc.CloseNotify(); e.until("closed", func() bool { return e.closedE == 1 }) },
		"timeout": func(e *end) { e.until("the error", func() bool { return len(e.errors) == 1 }) },
	} {
		t.Run(name, func(t *testing.T) {
			client := newEnd(t, true)
			connectEnds(client, &end{})
			defer client.close()
			client.encConfig.HandshakeTimeout = 300 * time.Millisecond
			client.open()
			client.start()
			for range 3 {
				if err := client.enc.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			giveUp(client)
			if n := client.enc.Connection().Stats().Dropped[wire.DropBeforeKey]; n != 3 {
				t.Errorf("%d are counted as dropped, want 3", n)
			}
		})
	}
}

func TestLongRecord(t *testing.T) {
	client, server, _, _ := pair(t)
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	p := make([]byte, maxPlaintext)
	for i := range p {
		p[i] = byte(i * 7)
	}
	if err := client.enc.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := client.enc.Write(nil); err != nil {
		t.Fatal(err)
	}
	server.until("data", func() bool { return len(server.data) == 1 })
	if !bytes.Equal(server.data[0], p) {
		t.Error("it is not what was sent")
	}
}

// Several records in one datagram are delivered at once, a repeated one once.
func TestRecordsInOneDatagram(t *testing.T) {
	client, server, up, _ := pair(t)
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	var all []byte
	n := 0
	up.mu.Lock()
	up.tap = func(p []byte) [][]byte {
		all = append(all, p...)
		if n++; n < 10 {
			return nil
		}
		return [][]byte{all, all, append(append([]byte(nil), all...), 1, 2, 3)}
	}
	up.mu.Unlock()
	for i := range 10 {
		if err := client.enc.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	server.until("data", func() bool { return len(server.data) >= 10 })
	if !server.dec.Drain(5 * time.Second) {
		t.Error("Drain")
	}
	if len(server.data) != 10 {
		t.Errorf("%d records", len(server.data))
	}
	// The records of the first copy are there; the other two copies are still on their way.
	for end := time.Now().Add(10 * time.Second); server.dec.Connection().Stats().Dropped[wire.DropMalformed] == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	st := server.dec.Connection().Stats()
	if st.Dropped[wire.DropReplay] != 20 || st.Dropped[wire.DropMalformed] != 1 {
		t.Errorf("dropped %v", st.Dropped)
	}
}

func TestProfiles(t *testing.T) {
	one := func(p srtp.Profile) []srtp.Profile { return []srtp.Profile{p} }
	cases := []struct {
		name           string
		client, server []srtp.Profile
		want           srtp.Profile
	}{
		{"cm80", one(srtp.AES128CMHMACSHA1_80), allProfiles, srtp.AES128CMHMACSHA1_80},
		{"cm32", one(srtp.AES128CMHMACSHA1_32), allProfiles, srtp.AES128CMHMACSHA1_32},
		{"gcm128", allProfiles, one(srtp.AEADAES128GCM), srtp.AEADAES128GCM},
		{"gcm256", allProfiles, one(srtp.AEADAES256GCM), srtp.AEADAES256GCM},
		{"the server's preference", []srtp.Profile{srtp.AES128CMHMACSHA1_80, srtp.AEADAES256GCM, srtp.AEADAES128GCM},
			[]srtp.Profile{srtp.AEADAES128GCM, srtp.AES128CMHMACSHA1_80}, srtp.AEADAES128GCM},
		{"none in common", one(srtp.AEADAES128GCM), one(srtp.AES128CMHMACSHA1_80), 0},
		{"the client has none", nil, allProfiles, 0},
		{"the server has none", allProfiles, nil, 0},
		{"neither has any", nil, nil, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			client, server, _, _ := pair(t)
			client.encConfig.Profiles, server.encConfig.Profiles = tc.client, tc.server
			server.start()
			client.start()
			want := 0
			if tc.want != 0 {
				want = 1
			}
			client.connected(want)
			server.connected(want)
			exchange(t, client, server)
			if tc.want != 0 {
				sameKeys(t, client, server)
				if p := client.encKeys[0].Profile; p != tc.want {
					t.Errorf("the profile is %v", p)
				}
				return
			}
			for _, e := range []*end{client, server} {
				warned := false
				e.until("state", func() bool { return true })
				for _, w := range e.warnings {
					warned = warned || strings.Contains(w.Error(), "no SRTP profile in common")
				}
				if warned != (len(e.encConfig.Profiles) > 0) {
					t.Errorf("client %v: the warnings are %v", e.encConfig.IsClient, e.warnings)
				}
				if _, ok := e.enc.Connection().Keys(); ok || len(e.encKeys)+len(e.decKeys) != 0 {
					t.Error("there are keys")
				}
			}
		})
	}
}

func TestStartChecks(t *testing.T) {
	e := newEnd(t, true)
	e.out = func([]byte) error { return nil }
	defer e.close()
	e.openEncoder()
	for _, cfg := range []EncoderConfig{
		{MTU: 255}, {MTU: 65508}, {RetransmitInitial: time.Microsecond}, {RetransmitInitial: time.Second, RetransmitMax: time.Millisecond},
		{HandshakeTimeout: -1}, {PeerTimeout: -1}, {Profiles: []srtp.Profile{99}},
	} {
		if err := e.enc.Start(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
	if err := e.enc.Start(EncoderConfig{Profiles: append(allProfiles, allProfiles...)}); err != nil {
		t.Error(err)
	}
	if err := e.enc.Start(EncoderConfig{}); err == nil {
		t.Error("a second Start was taken")
	}
}

func TestWindow(t *testing.T) {
	var w window
	for _, seq := range []uint64{3, 0, 1, 66, 4, 1000, 937, 999} {
		if w.seen(seq) {
			t.Errorf("%d was seen", seq)
		}
		w.mark(seq)
		if !w.seen(seq) {
			t.Errorf("%d was not seen", seq)
		}
	}
	for seq, want := range map[uint64]bool{936: true, 938: false, 998: false, 1001: false, 2: true, maxSequence: false} {
		if w.seen(seq) != want {
			t.Errorf("%d: seen %v", seq, !want)
		}
	}
}

// A flight without an answer is sent again after RetransmitInitial, then after twice that, and so on up to
// RetransmitMax.
func TestBackoff(t *testing.T) {
	if cfg, err := (EncoderConfig{}).check(); err != nil || cfg.RetransmitInitial != 100*time.Millisecond || cfg.RetransmitMax != 2*time.Second ||
		cfg.MTU != 1200 {
		t.Errorf("defaults %+v, %v", cfg, err)
	}
	alone := func(initial, most time.Duration, sends int) (times []time.Duration) {
		client := newEnd(t, true)
		defer client.close()
		client.encConfig.RetransmitInitial, client.encConfig.RetransmitMax = initial, most
		var began time.Time
		client.out = func([]byte) error {
			client.note(func() { times = append(times, time.Since(began)) })
			return nil
		}
		client.open()
		began = time.Now()
		client.start()
		client.until("the retransmissions", func() bool { return len(times) >= sends })
		if n := client.enc.Connection().Stats().Retransmissions; n < uint64(sends-1) {
			t.Errorf("%d retransmissions are counted of %d", n, sends-1)
		}
		client.mu.Lock()
		defer client.mu.Unlock()
		return times[:sends]
	}
	times := alone(20*time.Millisecond, 80*time.Millisecond, 6)
	for i, earliest := range []time.Duration{0, 20, 60, 140, 220, 300} {
		if times[i] < earliest*time.Millisecond {
			t.Errorf("flight %d was sent after %v, before %d ms: %v", i+1, times[i], earliest, times)
		}
	}
	alone(time.Millisecond, 4*time.Millisecond, 25) // without the cap this would take hours
}
