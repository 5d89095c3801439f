// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// fakeBatch is how many messages a fake hands over at once at most.
const fakeBatch = 16

var errFakeClosed = errors.New("the connection is closed")

// A fakePlace is how far a group has come in a topic.
type fakePlace struct {
	next int   // of the topic's messages, the first that was not sent yet
	back []int // those before it that are to be sent again, in order
	done int   // how many were acknowledged
}

// A fakeSubscription is what a Conn has subscribed to. It ends with the connection to the server, as far as
// the server is concerned, and begins anew when that is back.
type fakeSubscription struct {
	cfg     adapters.SubscribeConfig
	r       adapters.Receiver
	told    bool // Subscribed was called since the connection was there
	unacked map[fakeToken]bool
}

type fakeToken struct {
	s     *fakeSubscription
	life  int // of the connection to the server
	topic string
	n     int
}

// Match takes a * at the end of a pattern for whatever follows.
func (f *Fake) Match(pattern, topic string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(topic, prefix)
	}
	return pattern == topic
}

// Put gives the server a message as if a program had sent it.
func (f *Fake) Put(m Received) {
	f.change(func() { f.keep(m) })
}

// Acknowledged is how many messages of a topic a group has acknowledged.
func (f *Fake) Acknowledged(group, topic string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.groups[group][topic]; p != nil {
		return p.done
	}
	return 0
}

// Subscribed are the topics of all subscriptions that the server knows.
func (f *Fake) Subscribed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for c := range f.open {
		if c.sub != nil && c.sub.told {
			all = append(all, c.sub.cfg.Topics...)
		}
	}
	slices.Sort(all)
	return all
}

// keep appends a message to the server's log.
func (f *Fake) keep(m Received) {
	if f.byTopic == nil {
		f.byTopic = map[string][]int{}
	}
	f.byTopic[m.Topic] = append(f.byTopic[m.Topic], len(f.received))
	f.received = append(f.received, m)
	for c := range f.open {
		c.cond.Broadcast()
	}
}

func (f *Fake) place(group, topic string) *fakePlace {
	if f.groups == nil {
		f.groups = map[string]map[string]*fakePlace{}
	}
	if f.groups[group] == nil {
		f.groups[group] = map[string]*fakePlace{}
	}
	if f.groups[group][topic] == nil {
		f.groups[group][topic] = &fakePlace{}
	}
	return f.groups[group][topic]
}

// Subscribe replaces the subscription.
func (c *fakeConn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	if slices.Contains(cfg.Topics, "") {
		return errors.New("a topic to subscribe to is empty; name it")
	}
	if cfg.Window == 0 {
		cfg.Window = adapters.DefaultWindow
	}
	cfg.Topics = slices.Clone(cfg.Topics)
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.closed {
		return errFakeClosed
	}
	c.giveBack()
	c.sub = nil
	for c.handing {
		c.cond.Wait()
	}
	if len(cfg.Topics) > 0 {
		c.sub = &fakeSubscription{cfg: cfg, r: r, unacked: map[fakeToken]bool{}}
		if !c.receiving {
			c.receiving = true
			safe.Go(&c.wg, "fake deliveries", nil, c.receive)
		}
	}
	c.cond.Broadcast()
	return nil
}

// Ack notes what was taken.
func (c *fakeConn) Ack(messages []adapters.Incoming) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	for i := range messages {
		t, ok := messages[i].Token.(fakeToken)
		if ok && t.s == c.sub && t.life == c.life && t.s.unacked[t] {
			delete(t.s.unacked, t)
			c.f.place(t.s.cfg.Group, t.topic).done++
		}
	}
	c.cond.Broadcast()
}

// giveBack ends what the server knows of the subscription: its messages go to others, or come again.
func (c *fakeConn) giveBack() {
	if c.sub == nil {
		return
	}
	c.life++
	c.sub.told = false
	for t := range c.sub.unacked {
		p := c.f.place(c.sub.cfg.Group, t.topic)
		p.back = append(p.back, t.n)
		slices.Sort(p.back)
	}
	clear(c.sub.unacked)
	for other := range c.f.open {
		other.cond.Broadcast()
	}
}

// receive is the server's side of a subscription.
func (c *fakeConn) receive() {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	for !c.closed {
		s := c.sub
		var batch []adapters.Incoming
		if s != nil && !c.f.down && !c.f.stalled && !c.broken {
			if !s.told {
				c.announce(s)
				continue
			}
			batch = c.next(s)
		}
		if len(batch) == 0 {
			c.cond.Wait()
			continue
		}
		c.hand(func() { s.r.Receive(batch) })
	}
}

// hand calls a receiver without the lock.
func (c *fakeConn) hand(call func()) {
	c.handing = true
	c.f.mu.Unlock()
	call()
	c.f.mu.Lock()
	c.handing = false
	c.cond.Broadcast()
}

// announce begins a subscription, at the end of the topics that are new to the group if need be.
func (c *fakeConn) announce(s *fakeSubscription) {
	s.told = true
	for topic, messages := range c.f.byTopic {
		if _, known := c.f.groups[s.cfg.Group][topic]; !known && !s.cfg.FromStart && c.wants(s, topic) {
			c.f.place(s.cfg.Group, topic).next = len(messages)
		}
	}
	c.hand(func() {
		for _, topic := range s.cfg.Topics {
			var err error
			if topic == c.f.RejectTopic {
				err = &adapters.DeliveryError{Kind: adapters.ErrUnknownTopic, Topic: topic, Host: "fake",
					Cause: "the topic does not exist", Remedy: "create it"}
			}
			s.r.Subscribed(topic, err)
		}
	})
}

func (c *fakeConn) wants(s *fakeSubscription, topic string) bool {
	return slices.ContainsFunc(s.cfg.Topics, func(p string) bool { return c.f.Match(p, topic) })
}

// next takes the messages that are due, oldest first.
func (c *fakeConn) next(s *fakeSubscription) []adapters.Incoming {
	var batch []adapters.Incoming
	for len(batch) < fakeBatch && len(s.unacked) < s.cfg.Window {
		oldest, at, of, again := -1, "", 0, false
		for topic, messages := range c.f.byTopic {
			if !c.wants(s, topic) {
				continue
			}
			p := c.f.place(s.cfg.Group, topic)
			n, back := p.next, len(p.back) > 0
			if back {
				n = p.back[0]
			}
			if n < len(messages) && (oldest < 0 || messages[n] < oldest) {
				oldest, at, of, again = messages[n], topic, n, back
			}
		}
		if oldest < 0 {
			break
		}
		p := c.f.place(s.cfg.Group, at)
		if again {
			p.back = p.back[1:]
		} else {
			p.next++
		}
		t := fakeToken{s, c.life, at, of}
		s.unacked[t] = true
		m := c.f.received[oldest]
		in := adapters.Incoming{Topic: at, Key: bytes.Clone(m.Key), Payload: bytes.Clone(m.Payload), Headers: slices.Clone(m.Headers),
			TimestampMS: m.TimestampMS, Position: strconv.Itoa(of), Redelivered: again, Token: t}
		if in.TimestampMS == 0 {
			in.TimestampMS = time.Now().UnixMilli()
		}
		batch = append(batch, in)
	}
	return batch
}
