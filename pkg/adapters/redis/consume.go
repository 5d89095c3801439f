// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

// A consumer is the receiving half of a conn: one subscription at a time.
type consumer struct {
	c   *conn
	cfg adapters.Config

	mu  sync.Mutex
	sub *subscription
	wg  sync.WaitGroup
}

func (r *consumer) init(c *conn, cfg adapters.Config) { r.c, r.cfg = c, cfg }

// close ends the subscription. Acknowledgements are handed over within adapters.AckTimeout.
func (r *consumer) close() {
	r.mu.Lock()
	s := r.sub
	r.sub = nil
	r.mu.Unlock()
	if s != nil {
		s.end()
	}
	r.wg.Wait()
}

// Subscribe replaces the subscription. Streams and group are made if they are not there.
func (c *conn) Subscribe(cfg adapters.SubscribeConfig, recv adapters.Receiver) error {
	if err := c.health.reporter.Err(); err != nil {
		return err
	}
	var topics []string
	for _, t := range cfg.Topics {
		if t == "" {
			return errors.New("subscribe: a topic is empty; name a stream")
		}
		if !slices.Contains(topics, t) {
			topics = append(topics, t)
		}
	}
	if len(topics) > 0 && recv == nil {
		return errors.New("subscribe: nobody receives")
	}
	cfg.Topics = topics
	if cfg.Group == "" {
		cfg.Group = c.o.groupName
	}
	if cfg.Window <= 0 {
		cfg.Window = adapters.DefaultWindow
	}
	r := &c.receive
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.closed.Load() { // Close ends what it finds here
		return errClosed
	}
	old := r.sub
	r.sub = nil
	var before <-chan struct{}
	if old != nil {
		old.end()
		before = old.over
	}
	if len(topics) == 0 {
		c.health.unused(receiving)
		return nil
	}
	c.health.set(receiving, condition{used: true})
	s := &subscription{c: c, cfg: cfg, recv: recv, over: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	r.sub = s
	safe.Go(&r.wg, "subscription at "+c.info.Host, c.panicked, func() { s.run(before) })
	return nil
}

// Ack notes what is to be confirmed to the server.
func (c *conn) Ack(messages []adapters.Incoming) {
	c.receive.mu.Lock()
	s := c.receive.sub
	c.receive.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range messages {
		t, ok := messages[i].Token.(*token)
		if !ok || t.b == nil || t.b.s != s {
			continue
		}
		h, out := t.b.out[t.topic][t.id]
		if !out || h.acked {
			continue
		}
		t.b.out[t.topic][t.id] = handed{acked: true}
		t.b.outCount--
		t.b.outBytes -= h.size
		t.b.acks[t.topic] = append(t.b.acks[t.topic], t.id)
		signal(t.b.room)
		signal(t.b.ackable)
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// A token names a message that was handed out.
type token struct {
	b         *bringer
	topic, id string
}

// A subscription is what one Subscribe asked for. Its bringers read: one for all streams, in a cluster one for
// each.
type subscription struct {
	c      *conn
	cfg    adapters.SubscribeConfig
	recv   adapters.Receiver
	ctx    context.Context
	cancel context.CancelFunc
	over   chan struct{} // closed when nothing of it runs any more

	calls sync.Mutex // held while the receiver is called: one goroutine at a time
	ended bool       // under calls: it is not called any more

	mu       sync.Mutex
	bringers []*bringer
}

// end stops it; the receiver is not called any more when it returns.
func (s *subscription) end() {
	s.cancel()
	s.calls.Lock()
	s.ended = true
	s.calls.Unlock()
}

// tell calls the receiver.
func (s *subscription) tell(f func(adapters.Receiver)) {
	s.calls.Lock()
	defer s.calls.Unlock()
	if !s.ended {
		f(s.recv)
	}
}

// run makes the bringers and waits for their end. In a cluster, and only there, the server says so with the
// first command about a stream of another node.
func (s *subscription) run(before <-chan struct{}) {
	defer close(s.over)
	if before != nil {
		<-before // what it confirms must not come again
	}
	topics := s.cfg.Topics
	cluster := s.c.o.cluster
	for s.ctx.Err() == nil {
		var wg sync.WaitGroup
		groups := [][]string{topics}
		if cluster {
			groups = slices.Collect(slices.Chunk(topics, 1))
		}
		ctx, cancel := context.WithCancel(s.ctx)
		s.mu.Lock()
		s.bringers = nil
		for _, g := range groups {
			b := &bringer{s: s, topics: g, window: max(1, s.cfg.Window/len(groups)), cluster: cluster, ctx: ctx, stop: cancel,
				known: map[string]bool{}, out: map[string]map[string]handed{}, count: firstRead, acks: map[string][]string{},
				room: make(chan struct{}, 1), ackable: make(chan struct{}, 1), backoff: outbox.NewBackoff(s.c.receive.cfg)}
			for _, t := range g {
				b.out[t] = map[string]handed{}
			}
			s.bringers = append(s.bringers, b)
		}
		all := s.bringers
		s.mu.Unlock()
		for _, b := range all {
			safe.Go(&wg, "receiving from "+s.c.info.Host, s.c.panicked, b.run)
		}
		wg.Wait()
		cancel()
		cluster = cluster || slices.ContainsFunc(all, func(b *bringer) bool { return b.cluster })
	}
}

// report makes one state of those of the bringers.
func (s *subscription) report(b *bringer, c condition) {
	s.mu.Lock()
	b.condition = c
	all := condition{state: adapters.Connected, used: true}
	for _, x := range s.bringers {
		if x.condition.state == adapters.Disconnected || (x.condition.state == adapters.Connecting && all.state == adapters.Connected) {
			all = x.condition
			all.used = true
		}
	}
	s.mu.Unlock()
	if s.ctx.Err() == nil {
		s.c.health.set(receiving, all)
	}
}

// subscribeError says why a stream cannot be read.
func (o *options) subscribeError(e *serverError, host, topic string) *adapters.DeliveryError {
	d := &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: topic, Host: host, Cause: "the server refuses the subscription: " + o.group.Mask(e.text)}
	switch e.code() {
	case "WRONGTYPE":
		d.Cause, d.Remedy = "the key exists and is no stream ("+e.text+")", "choose another topic, or delete the key"
	case "NOPERM":
		d.Kind = adapters.ErrUnauthorized
		d.Cause = "the user may not read this stream (" + e.text + ")"
		d.Remedy = fmt.Sprintf("grant it, such as ACL SETUSER %s ~%s +xgroup +xreadgroup +xack +xautoclaim, or check username", o.user(), topic)
	}
	return d
}

// topicsOf lists the streams of acks in a fixed order.
func topicsOf(acks map[string][]string) []string { return slices.Sorted(maps.Keys(acks)) }
