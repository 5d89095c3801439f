// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A Keeper Server keeps what was not acknowledged only for a receiver that it knows by name, which the
// configuration says. A Forgetful one that is no Keeper has nothing that could come again.
type Keeper interface {
	KeptPath(t *testing.T, name string) string // ConfigPath for the receiver of that name
}

// A Replayer Server may send a message once more as if for the first time, which no acknowledgement prevents. Replayed
// knows such a message: the server says of one that came again for want of an acknowledgement that it did.
type Replayer interface {
	Replayed(m *adapters.Incoming) bool
}

const (
	goodbyeCount  = 500
	goodbyeWindow = 10
	goodbyeFor    = 1500 * time.Millisecond // rounds go on so long,
	goodbyeRounds = 9                       // but there are so many in any case
)

// A goodbye is the state of testGoodbye.
type goodbye struct {
	*receiving
	topic  string
	path   string
	acked  map[string]string // payload → what came right after its acknowledgement
	voids  int               // rounds in which Close had no time,
	unsure []string          // and what was acknowledged there

	replays int
}

// testGoodbye: what is acknowledged right before the end does not come again: before Close, before another subscription,
// and before both. Rounds of a few messages of which the first ones are acknowledged; more always wait at the server,
// so that it is in the middle of something.
func (x *receiving) testGoodbye(t *testing.T) {
	g := &goodbye{receiving: x, topic: topicOf(t), path: x.s.ConfigPath(t), acked: map[string]string{}}
	if k, ok := x.s.(Keeper); ok {
		g.path = k.KeptPath(t, g.topic)
	} else if x.forgetful {
		t.Skip("the server keeps nothing that could come again")
	}
	c := g.join(t)
	r := g.subscribe(t, c, g.config())
	x.publish(t, g.topic, 0, goodbyeCount)
	for round, began := 0, time.Now(); round < goodbyeRounds || (time.Since(began) < goodbyeFor && len(g.acked) < goodbyeCount-2*goodbyeWindow); round++ {
		got := g.some(t, r, 1+round*3%goodbyeWindow) // up to the whole window
		c.Ack(got)
		switch round % 3 {
		case 0: // nothing in between
		case 1: // the same again on this connection, without a pause
			g.note(got, "Subscribe")
			r = g.listen(t, c)
			more := g.some(t, r, 1+round%goodbyeWindow)
			c.Ack(more)
			got = append(got, more...)
		case 2: // as package broker ends
			if err := c.Subscribe(adapters.SubscribeConfig{}, nil); err != nil {
				t.Fatal(err)
			}
		}
		closed := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if time.Since(closed) < adapters.AckTimeout {
			g.note(got, fmt.Sprintf("Close in round %d (%v)", round, time.Since(closed)))
		} else if g.voids++; g.voids > goodbyeRounds { // that time is all the server has
			t.Fatalf("Close took longer than %v in %d rounds of %d", adapters.AckTimeout, g.voids, round+1)
		} else {
			g.forget(got)
		}
		c = g.join(t)
		r = g.listen(t, c)
	}
	// The others are all there.
	seen := map[string]bool{}
	for p := range g.acked {
		seen[p] = true
	}
	for _, p := range g.unsure {
		seen[p] = true
	}
	done := 0
	Wait(t, "what was not acknowledged", func() bool {
		all := r.Messages()
		g.check(t, all[done:])
		for _, m := range all[done:] {
			seen[string(m.Payload)] = true
		}
		c.Ack(all[done:])
		done = len(all)
		return len(seen) == goodbyeCount
	})
	t.Logf("%d messages were acknowledged right before an end; %d rounds say nothing, since Close had no time; the server has replayed %d", len(g.acked), g.voids, g.replays)
}

func (g *goodbye) join(t *testing.T) adapters.Consumer {
	t.Helper()
	c, err := g.a.Open(adapters.Config{ConnStr: g.s.ConnStr(), ConfigPath: g.path, Strict: true, ReceiveOnly: true}, NewRecorder())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(adapters.Consumer)
}

// listen does not wait for the server's word: it may come behind more messages than there is room for.
func (g *goodbye) listen(t *testing.T, c adapters.Consumer) *Collector {
	t.Helper()
	r := NewCollector()
	if err := c.Subscribe(g.config(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (g *goodbye) config() adapters.SubscribeConfig {
	return adapters.SubscribeConfig{Topics: []string{g.topic}, Group: g.topic, Window: goodbyeWindow, FromStart: true}
}

// some waits for n messages and returns these, the first ones.
func (g *goodbye) some(t *testing.T, r *Collector, n int) []adapters.Incoming {
	t.Helper()
	got := r.Wait(t, n)
	g.check(t, got)
	return got[:n]
}

func (g *goodbye) check(t *testing.T, got []adapters.Incoming) {
	t.Helper()
	replayer, _ := g.s.(Replayer)
	for i := range got {
		after, ok := g.acked[string(got[i].Payload)]
		switch {
		case !ok:
		case replayer != nil && replayer.Replayed(&got[i]):
			if g.replays++; g.replays > goodbyeCount/4 {
				t.Fatalf("the server has sent %d messages once more as new ones", g.replays)
			}
			delete(g.acked, string(got[i].Payload)) // and may do it again
		default:
			t.Fatalf("message %s comes again; it was acknowledged right before %s (%d messages were acknowledged so far)", got[i].Payload, after, len(g.acked))
		}
	}
}

func (g *goodbye) note(got []adapters.Incoming, before string) {
	for i := range got {
		g.acked[string(got[i].Payload)] = before
	}
}

func (g *goodbye) forget(got []adapters.Incoming) {
	for i := range got {
		delete(g.acked, string(got[i].Payload))
		g.unsure = append(g.unsure, string(got[i].Payload))
	}
}

// testClosedTogether: of two that call Close at once, both find the Conn closed when they are back.
func testClosedTogether(t *testing.T, open opener) {
	for round := range 8 {
		c, r := open(t)
		var b adapters.Batch
		for i := range uint64(50) {
			b.Append(i+1, 0, "closing", nil, []byte("x"))
		}
		Send(t, c, &b)
		if round%2 == 1 {
			r.WaitState(t, adapters.Connected)
		}
		var calls [2]int
		var wg sync.WaitGroup
		for i := range calls {
			safe.Go(&wg, "closing", func(cause *safe.PanicError) { t.Error(cause) }, func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				calls[i] = r.Calls()
			})
		}
		wg.Wait()
		time.Sleep(5 * time.Millisecond)
		if now := r.Calls(); calls[0] != now || calls[1] != now {
			t.Errorf("round %d: the sink was called %v times when Close returned, and %d times in the end", round, calls, now)
		}
	}
}
