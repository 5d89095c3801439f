// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

// What is given back comes again after so long: at once, the server would send it here once more, and so out of
// order to the next one.
const giveBackAfter = 100 * time.Millisecond

// A subscriber receives over a connection of its own.
type subscriber struct {
	outbox.Subscriber
	c *conn

	places map[placeKey]*place // by serve alone; what is in one is guarded by the receiving
	told   map[string]bool     // what was logged once
}

func (s *subscriber) prepare(c *conn) {
	s.c, s.places, s.told = c, map[placeKey]*place{}, map[string]bool{}
	s.Prepare(&c.Conn, s.serve, c.set.reason)
}

// Subscribe replaces what is received.
func (c *conn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	s := &c.subscriber
	if err := s.Open(); err != nil {
		return err
	}
	if !c.set.jetstream && len(cfg.Topics) > 0 {
		return fmt.Errorf("subscribing with jetstream=false is %w; set jetstream=true", adapters.ErrNotSupported)
	}
	for _, t := range cfg.Topics {
		if err := checkSubject(t, true); err != nil {
			return err
		}
	}
	if cfg.Group == "" {
		cfg.Group = c.set.consumers
	}
	if strings.ContainsFunc(cfg.Group, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`.*>/\`, r) || r >= 0x7f }) || len(cfg.Group) > 100 {
		return fmt.Errorf("the group %.100q is no name of a consumer; use letters, digits, - and _, at most 100", cfg.Group)
	}
	s.Want(cfg, r)
	return nil
}

// A receiving is one connection that brings messages.
type receiving struct {
	window int
	wake   chan struct{}

	mu    sync.Mutex
	held  map[uint64]*handed // what came and is not acknowledged
	given int                // of these, those with the receiver
	next  uint64
	acked []jetstream.Msg // for serve to tell the server
	room  *sync.Cond
	over  bool
}

// A handed message is with the receiver, or waits for room there.
type handed struct {
	m     jetstream.Msg
	from  *feed
	seq   uint64 // in the stream
	size  int
	given bool
}

// An ackToken names a message towards the connection that brought it.
type ackToken struct {
	r *receiving
	n uint64
}

// Ack confirms messages.
func (c *conn) Ack(messages []adapters.Incoming) {
	for i := range messages {
		if t, ok := messages[i].Token.(ackToken); ok {
			t.r.ack(t.n)
		}
	}
}

func (r *receiving) ack(n uint64) {
	r.mu.Lock()
	if h := r.held[n]; h != nil && h.given {
		delete(r.held, n)
		r.given--
		h.from.out--
		h.from.bytes -= h.size
		r.acked = append(r.acked, h.m)
		r.room.Broadcast()
	}
	r.mu.Unlock()
	outbox.Token(r.wake)
}

// serve is one connection. It returns nil when it is not wanted any more.
func (s *subscriber) serve(sub *outbox.Subscription) error {
	k, err := s.c.dial(adapters.AckTimeout)
	if err != nil {
		return err
	}
	defer k.end()
	r := &receiving{wake: make(chan struct{}, 1), held: map[uint64]*handed{}}
	r.room = sync.NewCond(&r.mu)
	failed := make(chan error, 1)
	var feeds []*feed
	if sub != nil {
		r.window = sub.Window
		s.forget(sub)
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(s.c.ctx)
		defer func() {
			cancel()
			r.end()
			wg.Wait()
			s.goodbye(k, r, feeds)
		}()
		for _, topic := range sub.Topics {
			more, err := s.feeds(k, sub, topic)
			var refused *adapters.DeliveryError
			if err != nil && !errors.As(err, &refused) {
				return k.explain(err)
			}
			s.Tell(sub, func(x adapters.Receiver) { x.Subscribed(topic, err) })
			feeds = append(feeds, more...)
		}
		for _, f := range feeds {
			f.share(sub.Window, len(feeds), int(k.MaxPayload()))
			safe.Go(&wg, "receiving "+f.topic, func(e *safe.PanicError) { tryError(failed, e) }, func() {
				if err := s.bring(ctx, r, sub, f); err != nil {
					tryError(failed, err)
				}
			})
		}
	}
	s.Connected()
	// The server sends again what it has no word on for ack-wait.
	ackWait := s.c.set.ackWait
	for _, f := range feeds {
		ackWait = min(ackWait, f.ackWait)
	}
	ticker := time.NewTicker(max(ackWait/3, 100*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-s.c.Stop:
			return nil
		case <-s.Changed():
			if !s.Wants(sub) {
				return nil
			}
		case <-k.closed:
			return k.lost()
		case err := <-k.errors:
			s.log(adapters.LogWarning, s.c.set.group.Mask(err.Error()))
		case err := <-failed:
			return err
		case <-r.wake:
			r.confirm()
		case <-ticker.C:
			for _, h := range r.list() {
				_ = h.m.InProgress()
			}
			for _, f := range feeds {
				f.look(s.c.ctx, r, ackWait/4)
			}
		}
	}
}

func tryError(c chan error, err error) {
	select {
	case c <- err:
	default:
	}
}

func (s *subscriber) log(level adapters.LogLevel, text string) {
	s.c.Gate.Log(adapters.LogEntry{Level: level, Facility: "nats", Text: s.c.set.where() + ": " + text})
}

// confirm tells the server what was acknowledged.
func (r *receiving) confirm() {
	r.mu.Lock()
	acked := r.acked
	r.acked = nil
	r.mu.Unlock()
	for _, m := range acked {
		_ = m.Ack() // a connection that is lost says so to serve
	}
}

func (r *receiving) list() []*handed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.held))
}

// end lets nobody wait for room any more.
func (r *receiving) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.room.Broadcast()
}

// goodbye confirms what is to be confirmed and gives the rest back, so that it comes again at once.
func (s *subscriber) goodbye(k *link, r *receiving, feeds []*feed) {
	r.confirm()
	ctx, cancel := context.WithTimeout(context.Background(), adapters.AckTimeout/3)
	defer cancel()
	for k.NumSubscriptions() > 1 && outbox.Sleep(time.Millisecond, ctx.Done()) { // the library ends those of requests a moment later
	}
	for _, f := range feeds {
		// Asked for that, a server looks whether anybody still waits there. nats-server 2.9 that finds it out only when
		// it has something to send again counts that as sent, goes back by one message, and sends that as a new one.
		info := f.consumer.CachedInfo()
		_ = k.PublishRequest("$JS.API.CONSUMER.INFO."+info.Stream+"."+info.Name, k.NewInbox(), nil)
	}
	held := r.list()
	slices.SortFunc(held, func(a, b *handed) int { return cmp.Compare(a.seq, b.seq) })
	r.mu.Lock()
	clear(r.held)
	for _, h := range held {
		if p := h.from.place; p.open == 0 || h.seq < p.open {
			p.open = h.seq
		}
	}
	r.mu.Unlock()
	for _, h := range held {
		_ = h.m.NakWithDelay(giveBackAfter)
	}
	_ = k.FlushTimeout(askPatience) // Close cuts it short
}

// incoming turns a message of the library into ours, and gives its place in the stream.
func incoming(m jetstream.Msg) (in adapters.Incoming, seq uint64) {
	in = adapters.Incoming{Topic: m.Subject(), Payload: m.Data()}
	if meta, err := m.Metadata(); err == nil {
		seq = meta.Sequence.Stream
		in.TimestampMS = meta.Timestamp.UnixMilli()
		in.Position = meta.Stream + ":" + strconv.FormatUint(meta.Sequence.Stream, 10)
		in.Redelivered = meta.NumDelivered > 1
	}
	names := make([]string, 0, len(m.Headers()))
	for name := range m.Headers() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range m.Headers()[name] {
			switch name {
			case idHeader, streamHeader:
			case keyHeader:
				in.Key = []byte(value)
			case keyBinaryHeader:
				in.Key, _ = base64.StdEncoding.DecodeString(value)
			case timeHeader:
				if ms, err := strconv.ParseInt(value, 10, 64); err == nil {
					in.TimestampMS = ms
				}
			default:
				in.Headers = in.Headers.AppendString(name, value)
			}
		}
	}
	return in, seq
}
