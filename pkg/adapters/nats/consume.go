// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

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
}

func (s *subscriber) prepare(c *conn) {
	s.c = c
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
	held  map[uint64]jetstream.Msg // handed out and not acknowledged
	next  uint64
	acked []jetstream.Msg // for serve to tell the server
	room  *sync.Cond
	over  bool
}

// An ackToken names a message towards the connection that brought it.
type ackToken struct {
	r *receiving
	n uint64
}

// Ack confirms messages.
func (c *conn) Ack(messages []adapters.Incoming) {
	for i := range messages {
		t, ok := messages[i].Token.(ackToken)
		if !ok {
			continue
		}
		t.r.mu.Lock()
		if m := t.r.held[t.n]; m != nil {
			delete(t.r.held, t.n)
			t.r.acked = append(t.r.acked, m)
			t.r.room.Broadcast()
		}
		t.r.mu.Unlock()
		outbox.Token(t.r.wake)
	}
}

// serve is one connection. It returns nil when it is not wanted any more.
func (s *subscriber) serve(sub *outbox.Subscription) error {
	k, err := s.c.dial(adapters.AckTimeout)
	if err != nil {
		return err
	}
	defer k.end()
	r := &receiving{wake: make(chan struct{}, 1), held: map[uint64]jetstream.Msg{}}
	r.room = sync.NewCond(&r.mu)
	if sub != nil {
		r.window = sub.Window
		var running []jetstream.ConsumeContext
		defer func() {
			r.end()
			for _, c := range running {
				c.Stop()
			}
			s.goodbye(k, r)
		}()
		for _, topic := range sub.Topics {
			cc, err := s.consume(k, r, sub, topic)
			var refused *adapters.DeliveryError
			if err != nil && !errors.As(err, &refused) {
				return err
			}
			s.Tell(sub, func(x adapters.Receiver) { x.Subscribed(topic, err) })
			if cc != nil {
				running = append(running, cc)
			}
		}
	}
	s.Connected()
	// The server sends again what it has no word on for ack-wait.
	ticker := time.NewTicker(max(s.c.set.ackWait/3, 100*time.Millisecond))
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
			s.c.Gate.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "nats", Text: s.c.set.where() + ": " + s.c.set.group.Mask(err.Error())})
			if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrNoHeartbeat) {
				return err
			}
		case <-r.wake:
			r.confirm()
		case <-ticker.C:
			for _, m := range r.list() {
				_ = m.InProgress()
			}
		}
	}
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

func (r *receiving) list() []jetstream.Msg {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]jetstream.Msg, 0, len(r.held))
	for _, m := range r.held {
		list = append(list, m)
	}
	return list
}

// end lets nobody wait for room any more.
func (r *receiving) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.room.Broadcast()
}

// goodbye confirms what is to be confirmed and gives the rest back, so that it comes again at once.
func (s *subscriber) goodbye(k *link, r *receiving) {
	r.confirm()
	held := r.list()
	slices.SortFunc(held, func(a, b jetstream.Msg) int { return int(position(a)) - int(position(b)) })
	r.mu.Lock()
	clear(r.held)
	r.mu.Unlock()
	for _, m := range held {
		_ = m.NakWithDelay(giveBackAfter)
	}
	_ = k.FlushTimeout(adapters.AckTimeout)
}

func position(m jetstream.Msg) uint64 {
	if meta, err := m.Metadata(); err == nil {
		return meta.Sequence.Stream
	}
	return 0
}

// consumerName names the consumer of a group for a topic: of those of a group each has one topic, since older
// servers know no others.
func consumerName(group, topic string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(topic))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, topic)
	return fmt.Sprintf("%s-%.40s-%08x", group, name, h.Sum32())
}

// consume begins to receive one topic. A *adapters.DeliveryError is the server's final word.
func (s *subscriber) consume(k *link, r *receiving, sub *outbox.Subscription, topic string) (jetstream.ConsumeContext, error) {
	ctx, cancel := context.WithTimeout(s.c.ctx, askPatience)
	defer cancel()
	stream, err := s.c.set.stream, error(nil)
	if stream != "" {
		if err = s.c.stream(k); err != nil {
			return nil, s.final(topic, err)
		}
	} else if stream, err = k.js.StreamNameBySubject(ctx, topic); err != nil {
		return nil, s.final(topic, err)
	}
	config := jetstream.ConsumerConfig{FilterSubject: topic, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.c.set.ackWait,
		MaxAckPending: sub.Window, DeliverPolicy: jetstream.DeliverNewPolicy}
	if sub.FromStart {
		config.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	var consumer jetstream.Consumer
	if sub.Group == "" {
		config.InactiveThreshold = time.Minute
		consumer, err = k.js.CreateConsumer(ctx, stream, config)
	} else {
		name := consumerName(sub.Group, topic)
		consumer, err = k.js.Consumer(ctx, stream, name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			config.Durable = name
			consumer, err = k.js.CreateConsumer(ctx, stream, config)
		} else if err == nil { // the place reached stays; what may change is changed
			if have := consumer.CachedInfo().Config; have.MaxAckPending != config.MaxAckPending || have.AckWait != config.AckWait {
				have.MaxAckPending, have.AckWait = config.MaxAckPending, config.AckWait
				consumer, err = k.js.UpdateConsumer(ctx, stream, have)
			}
		}
	}
	if err != nil {
		return nil, s.final(topic, err)
	}
	cc, err := consumer.Consume(func(m jetstream.Msg) { s.received(r, sub, m) }, jetstream.PullMaxMessages(sub.Window),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			select {
			case k.errors <- err:
			default:
			}
		}))
	if err != nil {
		return nil, &lostError{err, k.secure}
	}
	return cc, nil
}

// final makes a word of JetStream's the final one for a topic; other errors end the connection.
func (s *subscriber) final(topic string, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return s.c.DeliveryError(adapters.ErrUnknownTopic, topic, "no stream has this subject", "add it to a stream, or set stream and stream-create=true")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return err
	case errors.As(err, &api) && api.Code < 500:
		return s.c.DeliveryError(adapters.ErrRejected, topic, api.Description, "see the stream and its consumers (nats consumer ls)")
	}
	return err
}

// received hands one message on, and waits while the window is full.
func (s *subscriber) received(r *receiving, sub *outbox.Subscription, m jetstream.Msg) {
	r.mu.Lock()
	for len(r.held) >= r.window && !r.over {
		r.room.Wait()
	}
	if r.over {
		r.mu.Unlock()
		_ = m.NakWithDelay(giveBackAfter)
		return
	}
	r.next++
	n := r.next
	r.held[n] = m
	r.mu.Unlock()
	in := incoming(m)
	in.Token = ackToken{r, n}
	s.Tell(sub, func(x adapters.Receiver) { x.Receive([]adapters.Incoming{in}) })
}

func incoming(m jetstream.Msg) adapters.Incoming {
	in := adapters.Incoming{Topic: m.Subject(), Payload: m.Data()}
	if meta, err := m.Metadata(); err == nil {
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
	return in
}
