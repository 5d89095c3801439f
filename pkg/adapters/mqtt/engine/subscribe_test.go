// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// message is a PUBLISH; version 3.1.1 has no properties.
func message(v Version, qos, id byte, topic, payload string) []byte {
	b := appendText(nil, topic)
	if qos > 0 {
		b = append(b, 0, id)
	}
	if v == V5 {
		b = append(b, 0)
	}
	return appendPacket(nil, typePublish<<4|qos<<1, append(b, payload...))
}

func payloads(list []adapters.Incoming) string {
	var all []string
	for i := range list {
		s := string(list[i].Payload)
		if list[i].Redelivered {
			s += "!"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func subscribe(t *testing.T, c *Conn, topics ...string) *adaptertest.Collector {
	t.Helper()
	r := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: topics}, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSubscribeAnew: messages without an acknowledgement go to the receiver of the next subscription if it
// wants them, those of QoS 0 too, which no server sends again; the others stay with the server, in nobody's way,
// until someone comes for them.
func TestSubscribeAnew(t *testing.T) {
	acks := make(chan byte, 20)
	more := make(chan []byte)
	s := play(t, func(p *peer) {
		p.connect(accept5...)
		p.next(typeSubscribe)
		go func() {
			for b := range more {
				p.write(b...)
			}
		}()
		for {
			_, body, ok := p.next(typePuback)
			if !ok {
				return
			}
			acks <- body[1]
		}
	})
	defer close(more)
	c := s.open(t, Options{Version: V5}, adaptertest.NewRecorder())
	first := subscribe(t, c, "a", "b")
	var all []byte
	for id, topic := range []string{"b", "a", "b", "a"} {
		all = append(all, message(V5, 1, byte(id+1), topic, fmt.Sprint(id+1))...)
	}
	more <- append(all, message(V5, 0, 0, "a", "zero")...)
	got := first.Wait(t, 5)
	c.Ack(got[1:2]) // 1 holds it back
	second := subscribe(t, c, "a")
	if s := payloads(second.Wait(t, 2)); s != "4! zero!" {
		t.Errorf("came again: %s", s)
	}
	c.Ack(got) // of the former subscription
	more <- message(V5, 1, 5, "a", "5")
	c.Ack(second.Wait(t, 3))
	for _, want := range []byte{2, 4, 5} {
		if id := <-acks; id != want {
			t.Errorf("%d was acknowledged, %d is next", id, want)
		}
	}
	if err := c.Subscribe(adapters.SubscribeConfig{}, nil); err != nil {
		t.Fatal(err)
	}
	third := subscribe(t, c, "b", "a")
	if s := payloads(third.Wait(t, 2)); s != "1! 3!" {
		t.Errorf("the third had %s", s)
	}
	c.Ack(third.Messages())
	for _, want := range []byte{1, 3} {
		if id := <-acks; id != want {
			t.Errorf("%d was acknowledged, %d is next", id, want)
		}
	}
}

// TestSpare: so many messages that nobody wants any more that the server would send no others are given up, the
// oldest first.
func TestSpare(t *testing.T) {
	acks := make(chan byte, 20)
	s := play(t, func(p *peer) {
		p.connect(accept5...)
		p.next(typeSubscribe)
		for id := range byte(maxSpare + 3) {
			p.write(message(V5, 1, id+1, "a", "x")...)
		}
		for {
			_, body, ok := p.next(typePuback)
			if !ok {
				return
			}
			acks <- body[1]
		}
	})
	r := adaptertest.NewRecorder()
	c := s.open(t, Options{Version: V5}, r)
	subscribe(t, c, "a").Wait(t, maxSpare+3)
	subscribe(t, c, "b")
	for id := range byte(3) {
		if got := <-acks; got != id+1 {
			t.Errorf("%d was acknowledged, %d is next", got, id+1)
		}
	}
	select {
	case id := <-acks:
		t.Errorf("%d was acknowledged too", id)
	case <-time.After(20 * time.Millisecond):
	}
	again := subscribe(t, c, "a")
	again.Wait(t, maxSpare)
}

// TestUnsubscribeLater: a server that keeps the session hears of topics that were given up while it was away,
// and hears it again when it was lost before it said that it knows.
func TestUnsubscribeLater(t *testing.T) {
	heard := make(chan string, 10)
	lose := make(chan struct{})
	scene := func(answer bool) func(p *peer) {
		return func(p *peer) {
			p.connect(1, 0, 0)
			for {
				first, body, ok := p.packet()
				switch {
				case !ok:
					return
				case first>>4 == typeUnsubscribe:
					heard <- string(body[5:])
					if !answer {
						return
					}
					p.write(appendPacket(nil, typeUnsuback<<4, []byte{body[0], body[1], 0, 0})...)
				}
			}
		}
	}
	s := play(t, func(p *peer) {
		p.connect(accept5...)
		p.next(typeSubscribe)
		<-lose
	}, scene(false), scene(true))
	r := adaptertest.NewRecorder()
	c := s.open(t, Options{Version: V5, RetryInterval: 20 * time.Millisecond}, r)
	subscribe(t, c, "old", "kept")
	adaptertest.Wait(t, "the connection", func() bool { return len(r.States()) > 1 })
	close(lose)
	adaptertest.Wait(t, "the loss", func() bool { return len(lostBy(r)) > 0 })
	subscribe(t, c, "kept")
	for range 2 {
		if f := <-heard; f != "old" {
			t.Errorf("%q was given up", f)
		}
	}
	adaptertest.Wait(t, "the answer", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.dropped) == 0 && len(c.leaving) == 0
	})
}

// TestOversize: a message that is too large for this client, from a server that cannot be told so, is skipped,
// and does not come at each connection again.
func TestOversize(t *testing.T) {
	for _, qos := range []byte{0, 1, 2} {
		t.Run(fmt.Sprint(qos), func(t *testing.T) {
			ack := make(chan string, 10)
			s := play(t, func(p *peer) {
				p.connect(0, 0)
				p.next(typeSubscribe)
				big := message(V311, qos, 7, "t", string(bytes.Repeat([]byte("x"), maxIncoming)))
				p.write(big[:8]...) // its topic comes with the next piece
				time.Sleep(5 * time.Millisecond)
				p.write(append(big[8:], message(V311, 1, 8, "t", "small")...)...)
				for {
					first, body, ok := p.packet()
					if !ok {
						return
					}
					if first>>4 == typePuback || first>>4 == typePubrec {
						ack <- fmt.Sprint(first>>4, ":", body[1])
					}
				}
			})
			r := adaptertest.NewRecorder()
			c := s.open(t, Options{Version: V311}, r)
			got := subscribe(t, c, "t").Wait(t, 1)
			if string(got[0].Payload) != "small" {
				t.Errorf("%d bytes came", len(got[0].Payload))
			}
			if qos > 0 {
				if a, want := <-ack, fmt.Sprint(typePuback+qos-1, ":7"); a != want {
					t.Errorf("the answer is %s, want %s", a, want)
				}
			}
			if all := lostBy(r); len(all) > 0 {
				t.Errorf("disconnected: %v", all)
			}
			adaptertest.Wait(t, "the word on it", func() bool { return strings.Contains(fmt.Sprint(r.Logs()), "larger than the") })
		})
	}
}

// TestLargeBacklog: messages that are large wait with the server, not in memory, and come when there is room.
func TestLargeBacklog(t *testing.T) {
	defer func(n int) { maxOutBytes = n }(maxOutBytes)
	maxOutBytes = 200
	const count = 20
	s := play(t, func(p *peer) {
		p.connect(accept5...)
		p.next(typeSubscribe)
		for i := range byte(count) {
			p.write(message(V5, i%2, i+1, "t", fmt.Sprintf("%02d%098d", i, 0))...)
		}
		p.drain()
	})
	c := s.open(t, Options{Version: V5}, adaptertest.NewRecorder())
	r := subscribe(t, c, "t")
	for done := 0; done < count; {
		all := r.Wait(t, done+1)
		if n := len(all) - done; n > 2 {
			t.Fatalf("%d messages of 100 bytes are without an acknowledgement", n)
		}
		for ; done < len(all); done++ {
			if s := string(all[done].Payload[:2]); s != fmt.Sprintf("%02d", done) {
				t.Fatalf("%s came, %d is next", s, done)
			}
			c.Ack(all[done : done+1])
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rx.bytes != 0 || c.rx.open != 0 {
		t.Errorf("%d bytes, %d messages count as not acknowledged", c.rx.bytes, c.rx.open)
	}
}

// TestSlowReceiver: while our own receiver holds the reading up, the server is not taken for one that answers no
// message: connecting anew would only send everything twice.
func TestSlowReceiver(t *testing.T) {
	defer func(d time.Duration) { stuckAfter = d }(stuckAfter)
	stuckAfter = time.Second // the answer to what is published comes well before that
	s := play(t, func(p *peer) {
		p.connect(accept5...)
		p.next(typeSubscribe)
		_, body, _ := p.next(typePublish)
		b := append(message(V5, 1, 1, "t", "1"), message(V5, 1, 2, "t", "2")...)
		p.write(appendAck(b, typePuback, uint16(body[3])<<8|uint16(body[4]), 0)...)
		p.drain()
	})
	r := adaptertest.NewRecorder()
	c := s.open(t, Options{Version: V5, QoS: 1, KeepAlive: time.Minute}, r)
	got := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"t"}, Window: 1}, got); err != nil {
		t.Fatal(err)
	}
	adaptertest.Send(t, c, batch(1, "a"))
	first := got.Wait(t, 1)
	time.Sleep(5 * stuckAfter / 2) // it is looked after twice in that time
	if all := lostBy(r); len(all) > 0 {
		t.Fatalf("disconnected: %q", all)
	}
	c.Ack(first)
	got.Wait(t, 2)
	if err := c.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

// TestNeverAcknowledged: one message without an acknowledgement does not make those of QoS 0 behind it pile up.
func TestNeverAcknowledged(t *testing.T) {
	a := newArrivals()
	a.add(arrival{id: 1, qos: 1})
	for range 100_000 {
		a.ack(a.add(arrival{}).Token.(token))
		if b := a.acknowledge(nil); len(b) > 0 {
			t.Fatal("acknowledged")
		}
	}
	if len(a.list) > 4*compactAt || a.open != 1 {
		t.Errorf("%d are remembered, %d open", len(a.list), a.open)
	}
	a.ack(token{0, 0})
	if b := a.acknowledge(nil); len(b) == 0 || a.open != 0 || len(a.list) > 0 {
		t.Errorf("% x, %d open, %d remembered", b, a.open, len(a.list))
	}
}

// TestLastAnswer: an answer that was given right before Close goes out before the goodbye; messages that wait stay.
func TestLastAnswer(t *testing.T) {
	heard := make(chan string, 100)
	s := play(t, func(p *peer) {
		p.connect(accept5...)
		got := ""
		for {
			first, body, ok := p.packet()
			if !ok || first>>4 == typeDisconnect {
				heard <- got
				return
			}
			if first>>4 == typePublish {
				got += string(body[len(body)-1:])
			}
		}
	})
	for range 30 {
		r := adaptertest.NewRecorder()
		c := s.open(t, Options{Version: V5, QoS: 1, MaxInflight: 1}, r)
		r.WaitState(t, adapters.Connected)
		if err := c.send("answers", []byte("!")); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if got := <-heard; got != "!" {
			t.Fatalf("%q came", got)
		}
	}
}

// TestParked: where the server keeps the session, the end of a subscription takes nothing back; another one does.
func TestParked(t *testing.T) {
	for _, durable := range []bool{false, true} {
		heard := make(chan string, 10)
		s := play(t, func(p *peer) {
			p.connect(accept5...)
			for {
				first, body, ok := p.packet()
				if !ok {
					return
				}
				switch first >> 4 {
				case typeSubscribe:
					heard <- "+" + string(body[5:len(body)-1])
				case typeUnsubscribe:
					heard <- "-" + string(body[5:])
				case typeDisconnect:
					heard <- "over"
				}
			}
		})
		for _, again := range []bool{false, true} {
			r := adaptertest.NewRecorder()
			c := s.open(t, Options{Version: V5, Durable: durable}, r)
			r.WaitState(t, adapters.Connected)
			subscribe(t, c, "a", "b")
			if err := c.Subscribe(adapters.SubscribeConfig{}, nil); err != nil {
				t.Fatal(err)
			}
			if again {
				subscribe(t, c, "b", "c")
			}
			_ = c.Close()
			var all []string
			for text := <-heard; text != "over"; text = <-heard {
				all = append(all, strings.Map(func(r rune) rune {
					if r < ' ' {
						return -1
					}
					return r
				}, text))
			}
			got := strings.Join(all, " ")
			if gone := strings.Contains(got, "-"); gone != (again || !durable) || (durable && again && !strings.Contains(got, "-a +")) {
				t.Errorf("durable %v, another one %v: %s", durable, again, got)
			}
		}
	}
}
