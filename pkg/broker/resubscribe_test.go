// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestSubscribeLateTaker: what one taker had before another came, of the same topics, is not acknowledged
// when it leaves without having dealt with it: the other has never seen it.
func TestSubscribeLateTaker(t *testing.T) {
	f := &adaptertest.Fake{}
	put(f, "a", 0, 3)
	c := dial(t, f, Options{ReceiveOnly: true})
	first := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Group: "g"})
	expect(t, first, 0, 3, false)
	second := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Group: "g"})
	first.Close()
	if n := f.Acknowledged("g", "a"); n != 0 {
		t.Errorf("%d acknowledged, and nobody has taken them", n)
	}
	expect(t, second, 0, 3, true)
	if n := f.Acknowledged("g", "a"); n != 3 {
		t.Errorf("%d acknowledged, want 3", n)
	}
}

// A moody adapter refuses to subscribe while it is in that mood, as one does whose certificate is just
// being replaced.
type moody struct {
	*adaptertest.Fake
	refuse  atomic.Bool
	refused atomic.Int32
}

type moodyConn struct {
	adapters.Consumer
	f *moody
}

func (f *moody) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	c, err := f.Fake.Open(cfg, sink)
	if err != nil {
		return nil, err
	}
	return moodyConn{c.(adapters.Consumer), f}, nil
}

func (c moodyConn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	if c.f.refuse.Load() && len(cfg.Topics) > 0 {
		c.f.refused.Add(1)
		return errors.New("the certificate cannot be read")
	}
	return c.Consumer.Subscribe(cfg, r)
}

// TestSubscribeAgainRefused: a subscription that cannot be made in a new session is tried again.
func TestSubscribeAgainRefused(t *testing.T) {
	f := &moody{Fake: &adaptertest.Fake{}}
	c := dial(t, f, Options{Reconnect: Reconnect{Interval: time.Millisecond, MaxInterval: 2 * time.Millisecond}})
	s := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Group: "g"})
	put(f.Fake, "a", 0, 2)
	expect(t, s, 0, 2, true)
	f.refuse.Store(true)
	f.Break()
	adaptertest.Wait(t, "a refusal", func() bool { return f.refused.Load() > 0 })
	put(f.Fake, "a", 2, 5)
	f.refuse.Store(false)
	expect(t, s, 2, 5, true)
	// One that is closed meanwhile is not made after all.
	f.refuse.Store(true)
	was := f.refused.Load()
	f.Break()
	adaptertest.Wait(t, "another refusal", func() bool { return f.refused.Load() > was })
	s.Close()
	f.refuse.Store(false)
	time.Sleep(20 * time.Millisecond)
	if got := f.Subscribed(); len(got) != 0 {
		t.Errorf("subscribed to %v", got)
	}
}

// TestSubscribeLastLeaves: when the last taker leaves and had not dealt with all, nothing that comes while the
// connection goes on is acknowledged for nobody.
func TestSubscribeLastLeaves(t *testing.T) {
	f := &adaptertest.Fake{}
	put(f, "a", 0, 3)
	c := dial(t, f, Options{ReceiveOnly: true})
	s := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Group: "g"})
	expect(t, s, 0, 3, false)
	s.Close()
	if got := f.Subscribed(); len(got) != 0 {
		t.Errorf("still subscribed to %v", got)
	}
	put(f, "a", 3, 6)
	time.Sleep(20 * time.Millisecond)
	s = subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Group: "g"})
	expect(t, s, 0, 6, true)
}
