// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestSentAgain: after a lost connection everything without an answer goes out again, in order, with the
// same identifiers and DUP, whether the server kept the session or not; what was answered does not.
func TestSentAgain(t *testing.T) {
	for _, present := range []byte{0, 1} {
		t.Run(fmt.Sprint("present ", present), func(t *testing.T) {
			again := make(chan string, 20)
			s := play(t, func(p *peer) {
				p.connect(accept5...)
				for range 6 {
					_, body, _ := p.next(typePublish)
					if body[len(body)-1] == 'b' || body[len(body)-1] == 'd' { // out of order, as a server should not
						p.write(appendAck(nil, typePuback, uint16(body[3])<<8|uint16(body[4]), 0)...)
					}
				}
				time.Sleep(20 * time.Millisecond) // the answers are to arrive
			}, func(p *peer) {
				p.connect(present, 0, 0)
				for {
					first, body, ok := p.next(typePublish)
					if !ok {
						return
					}
					again <- fmt.Sprintf("%c%d:%d", body[len(body)-1], body[4], first>>3&1)
					p.write(appendAck(nil, typePuback, uint16(body[3])<<8|uint16(body[4]), 0)...)
				}
			})
			r := adaptertest.NewRecorder()
			c := s.open(t, Options{Version: V5, QoS: 1, KeepAlive: time.Minute}, r)
			adaptertest.Send(t, c, batch(1, "a", "b", "c", "d", "e", "f"))
			adaptertest.Wait(t, "the loss", func() bool { return len(lostBy(r)) > 0 })
			adaptertest.Send(t, c, batch(7, "g"))
			if err := c.Flush(testContext(t)); err != nil {
				t.Fatal(err)
			}
			close(again)
			var got []string
			for a := range again {
				got = append(got, a)
			}
			if s := strings.Join(got, " "); s != "a1:1 c3:1 e5:1 f6:1 g7:0" {
				t.Errorf("again came %s", s)
			}
			if n, failed := r.Results(); n != 7 || failed != 0 {
				t.Errorf("%d results, %d failures", n, failed)
			}
		})
	}
}

// TestWindow: never more under way than the server's receive maximum.
func TestWindow(t *testing.T) {
	var mu sync.Mutex
	most := 0
	s := play(t, func(p *peer) {
		p.connect(0, 0, 3, propReceiveMax, 0, 4)
		var open []uint16
		for {
			_ = p.nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, body, ok := p.next(typePublish)
			if ok {
				open = append(open, uint16(body[3])<<8|uint16(body[4]))
				mu.Lock()
				most = max(most, len(open))
				mu.Unlock()
				continue
			}
			if len(open) == 0 {
				_ = p.nc.SetReadDeadline(time.Now().Add(time.Second))
				if _, body, ok = p.next(typePublish); !ok {
					return
				}
				open = append(open, uint16(body[3])<<8|uint16(body[4]))
			}
			for _, id := range open {
				p.write(appendAck(nil, typePuback, id, 0)...)
			}
			open = nil
		}
	})
	r := adaptertest.NewRecorder()
	c := s.open(t, Options{Version: V5, QoS: 1}, r)
	adaptertest.Send(t, c, batch(1, strings.Split(strings.Repeat("x,", 29)+"x", ",")...))
	if err := c.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if most != 4 {
		t.Errorf("%d messages were under way at once, the server allowed 4", most)
	}
}

// TestManyIDs: identifiers go round, acknowledged in another order than sent.
func TestManyIDs(t *testing.T) {
	s := play(t, func(p *peer) {
		p.connect(0, 0) // 3.1.1
		var open []uint16
		for n := 0; ; n++ {
			_, body, ok := p.next(typePublish)
			if !ok {
				return
			}
			open = append(open, uint16(body[3])<<8|uint16(body[4]))
			if len(open) == 100 {
				rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
				var b []byte
				for _, id := range open {
					b = appendAck(b, typePuback, id, 0)
					b = appendAck(b, typePuback, id, 0)      // twice
					b = appendAck(b, typePubcomp, id, 0)     // the wrong kind
					b = appendAck(b, typePuback, id+3000, 0) // of nothing
				}
				p.write(b...)
				open = nil
			}
		}
	})
	r := adaptertest.NewRecorder()
	c := s.open(t, Options{Version: V311, QoS: 1, MaxInflight: 100}, r)
	const n = 140_000
	payloads := make([]string, 1000)
	for i := range payloads {
		payloads[i] = "x"
	}
	for first := uint64(1); first < n; first += 1000 {
		adaptertest.Send(t, c, batch(first, payloads...))
	}
	if err := c.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if all, failed := r.Results(); all != n || failed != 0 {
		t.Errorf("%d results, %d failures, want %d", all, failed, n)
	}
}

// TestVersions: a server that refuses version 5, in the old way or by hanging up, gets 3.1.1.
func TestVersions(t *testing.T) {
	for name, refuse := range map[string]func(*peer){
		"old code": func(p *peer) { p.write(typeConnack<<4, 2, 0, 1) },
		"new code": func(p *peer) { p.write(typeConnack<<4, 3, 0, codeBadVersion, 0) },
		"hangs up": func(*peer) {},
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t, func(p *peer) {
				_, body, ok := p.packet()
				if !ok {
					return
				}
				if body[6] == 5 {
					refuse(p)
					return
				}
				p.write(typeConnack<<4, 2, 0, 0)
				for {
					_, body, ok := p.next(typePublish)
					if !ok {
						return
					}
					p.write(appendAck(nil, typePuback, uint16(body[3])<<8|uint16(body[4]), 0)...)
				}
			})
			r := adaptertest.NewRecorder()
			c := s.open(t, Options{QoS: 1}, r)
			adaptertest.Send(t, c, batch(1, "x"))
			if err := c.Flush(testContext(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("fixed", func(t *testing.T) {
		s := play(t, func(p *peer) { p.connect(0, codeBadVersion, 0) })
		r := adaptertest.NewRecorder()
		s.open(t, Options{Version: V5}, r)
		waitReason(t, r, "the refusal", func(s string) bool { return strings.Contains(s, "protocol-version") })
	})
}

// TestReasons: what a server says, or does, becomes a cause and a remedy.
func TestReasons(t *testing.T) {
	for want, scene := range map[string]func(*peer){
		`another client has connected with our client-id "me"`: func(p *peer) { p.connect(accept5...); p.write(typeDisconnect<<4, 2, codeTakenOver, 0) },
		`"closed for lunch"`: func(p *peer) {
			p.connect(accept5...)
			p.write(appendPacket(nil, typeDisconnect<<4, append([]byte{0x8b, 19, propReason}, appendText(nil, "closed for lunch")...))...)
		},
		"check username":          func(p *peer) { p.connect(0, codeBadCredentials, 0) },
		"banned":                  func(p *peer) { p.connect(0, 0x8a, 0) },
		"speaks HTTP":             func(p *peer) { _, _, _ = p.packet(); _, _ = p.nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
		"speaks TLS":              func(p *peer) { p.write(0x15, 3, 1, 0, 2, 2, 70) },
		"does not speak MQTT":     func(p *peer) { _, _ = p.nc.Write([]byte("220 mail.example ESMTP\r\n")) },
		"instead of answering":    func(*peer) {},
		"malformed":               func(p *peer) { p.connect(accept5...); p.write(typePublish<<4|6, 3, 0, 1, 'x') },
		"larger than this client": func(p *peer) { p.connect(accept5...); p.write(typePublish<<4, 0xff, 0xff, 0xff, 0x7f) },
		"packet of type 0":        func(p *peer) { p.connect(accept5...); p.write(0, 0) },
		"packet of type 1":        func(p *peer) { p.connect(accept5...); p.write(typeConnect<<4, 0) },
		"without a reason":        func(p *peer) { p.connect(accept5...) },
		"a malformed packet":      func(p *peer) { p.connect(accept5...); p.write(typePuback<<4, 1, 0) },
		"MQTT reason 0xf3":        func(p *peer) { p.connect(0, 0xf3, 0) },
	} {
		t.Run(want, func(t *testing.T) {
			s := play(t, scene)
			r := adaptertest.NewRecorder()
			c := s.open(t, Options{Version: V5, QoS: 1, KeepAlive: time.Minute}, r)
			adaptertest.Send(t, c, batch(1, "kept"))
			waitReason(t, r, want, func(s string) bool { return strings.Contains(s, want) })
			if n, _ := r.Results(); n != 0 {
				t.Error("the message has a result")
			}
		})
	}
}

// TestGarbage: random bytes neither crash nor lose anything.
func TestGarbage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	left := 300
	s := play(t, func(p *peer) {
		mu.Lock()
		left--
		good := left < 0
		junk := make([]byte, 1+rnd.IntN(60))
		for i := range junk {
			junk[i] = byte(rnd.Uint32())
		}
		if rnd.IntN(2) == 0 { // a valid frame with junk inside
			junk = appendPacket(nil, byte(rnd.Uint32()), junk)
		}
		before := rnd.IntN(8) == 0
		mu.Unlock()
		if before && !good {
			p.write(junk...)
			return
		}
		p.connect(accept5...)
		if !good {
			p.write(junk...)
			_ = p.nc.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
			p.drain()
			return
		}
		for {
			_, body, ok := p.next(typePublish)
			if !ok {
				return
			}
			p.write(appendAck(nil, typePuback, uint16(body[3])<<8|uint16(body[4]), 0)...)
		}
	})
	r := adaptertest.NewRecorder()
	c := s.open(t, Options{Version: V5, QoS: 1, RetryInterval: time.Millisecond}, r)
	col := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"#"}}, col); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(50) {
		adaptertest.Send(t, c, batch(i+1, "x"))
	}
	if err := c.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if n, _ := r.Results(); n != 50 {
		t.Errorf("%d results", n)
	}
}

// TestPoison: a message at which the server hangs up each time is refused in the end; its neighbours are not.
func TestPoison(t *testing.T) {
	s := play(t, func(p *peer) {
		p.connect(0, 0)
		for {
			_, body, ok := p.next(typePublish)
			if !ok || bytes.HasSuffix(body, []byte("poison")) {
				return
			}
			p.write(appendAck(nil, typePuback, uint16(body[3])<<8|uint16(body[4]), 0)...)
		}
	})
	r := adaptertest.NewRecorder()
	c := s.open(t, Options{Version: V311, QoS: 1}, r)
	adaptertest.Send(t, c, batch(1, "a", "b", "poison", "c", "d", "poison", "e"))
	if err := c.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(7) {
		err, _ := r.Result(seq + 1)
		if bad := seq == 2 || seq == 5; bad != (err != nil) || (bad && !strings.Contains(err.Error(), "closed the connection each of the")) {
			t.Errorf("message %d: %v", seq+1, err)
		}
	}
}

// TestStuck: a server that answers pings and no message is left, and one that answers nothing at all.
func TestStuck(t *testing.T) {
	was := stuckAfter
	t.Cleanup(func() { stuckAfter = was })
	stuckAfter = time.Second // the good one answers well before that
	pong := func(p *peer) {
		p.connect(accept5...)
		for {
			first, _, ok := p.packet()
			if !ok {
				return
			}
			if first>>4 == typePingreq {
				p.write(typePingresp<<4, 0)
			}
		}
	}
	deaf := func(p *peer) { p.connect(accept5...); p.drain() }
	good := func(p *peer) {
		p.connect(accept5...)
		for {
			_, body, ok := p.next(typePublish)
			if !ok {
				return
			}
			p.write(appendAck(nil, typePuback, uint16(body[3])<<8|uint16(body[4]), 0)...)
		}
	}
	for name, scene := range map[string]func(*peer){"pongs": pong, "deaf": deaf} {
		t.Run(name, func(t *testing.T) {
			if name == "deaf" {
				stuckAfter = time.Hour
			}
			s := play(t, scene, good)
			r := adaptertest.NewRecorder()
			c := s.open(t, Options{Version: V5, QoS: 1, KeepAlive: time.Second}, r)
			adaptertest.Send(t, c, batch(1, "x"))
			if err := c.Flush(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if len(lostBy(r)) != 1 {
				t.Errorf("%q", lostBy(r))
			}
		})
	}
}

// TestAcksInOrder: acknowledgements leave in the order of the messages, and wait for those before.
func TestAcksInOrder(t *testing.T) {
	acks := make(chan byte, 10)
	s := play(t, func(p *peer) {
		p.connect(accept5...)
		p.next(typeSubscribe)
		for id := range byte(4) {
			p.write(typePublish<<4|2, 7, 0, 1, 't', 0, id+1, 0, 'x')
		}
		for {
			_, body, ok := p.next(typePuback)
			if !ok {
				return
			}
			acks <- body[1]
		}
	})
	c := s.open(t, Options{Version: V5}, adaptertest.NewRecorder())
	col := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"t"}}, col); err != nil {
		t.Fatal(err)
	}
	got := col.Wait(t, 4)
	c.Ack(got[1:3])
	c.Ack(got[1:2])
	select {
	case id := <-acks:
		t.Errorf("%d was acknowledged before 1", id)
	case <-time.After(50 * time.Millisecond):
	}
	c.Ack(got[:1])
	for want := byte(1); want <= 3; want++ {
		if id := <-acks; id != want {
			t.Errorf("%d was acknowledged, %d is next", id, want)
		}
	}
	c.Ack([]adapters.Incoming{{}, {Token: "someone else's"}, {Token: token{99, 3}}, {Token: token{0, 1 << 60}}})
}

// TestFlood: a server that wants answers without end and reads none is left.
func TestFlood(t *testing.T) {
	s := play(t, func(p *peer) {
		p.connect(accept5...)
		b := bytes.Repeat(appendAck(nil, typePubrel, 7, 0), 10_000)
		for {
			if _, err := p.nc.Write(b); err != nil {
				return
			}
		}
	})
	r := adaptertest.NewRecorder()
	s.open(t, Options{Version: V5, RetryInterval: time.Second}, r)
	waitReason(t, r, "the flood", func(s string) bool { return s == errFlood.Error() })
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{{"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/+", "a/b", true}, {"a/+", "a", false}, {"a/+", "a/", true}, {"a/#", "a", true}, {"a/#", "a/b/c", true},
		{"#", "a/b", true}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true}, {"+/+", "/x", true}, {"+", "a/b", false},
		{"$share/g/a/+", "a/b", true}, {"$share/g", "a", false}, {"", "a", false}, {"a", "", false}, {"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false}, {"a/b/#", "a", false}} {
		if got := Match(c.filter, c.topic); got != c.want {
			t.Errorf("Match(%q, %q) is %v", c.filter, c.topic, got)
		}
	}
	for f, ok := range map[string]bool{"#": true, "a/#": true, "a#": false, "#/a": false, "+": true, "a+": false, "a/+/b": true, "": false, "a\x00": false, "\xff": false} {
		if (CheckFilter(f) == nil) != ok {
			t.Errorf("CheckFilter(%q)", f)
		}
	}
}

// FuzzPackets: no packet of a server makes a parser crash or read past its end.
func FuzzPackets(f *testing.F) {
	f.Add(byte(typePublish<<4|2), []byte{0, 1, 't', 0, 1, 3, propUser, 0, 0, 0, 0})
	f.Add(byte(typeConnack<<4), []byte{0, 0, 3, propReceiveMax, 0, 4})
	f.Add(byte(typeSuback<<4), []byte{0, 1, 0, 0x80})
	f.Fuzz(func(t *testing.T, first byte, body []byte) {
		for _, v := range []Version{V311, V5} {
			if p, err := parsePublish(first, body, v); err == nil && len(p.topic)+len(p.payload) > len(body) {
				t.Error("more came out than went in")
			}
			_, _ = parseConnack(body, v)
			_, _, _, _ = parseAck(body, v)
			_, _, _, _ = parseSuback(body, v)
		}
		_, _, _, _ = frame(append([]byte{first}, body...), maxIncoming)
	})
}
