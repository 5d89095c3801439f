// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	receiveAtOnce = 128
	askAtOnce     = 4096     // the library makes room for as many with each request
	maxHeldBytes  = 64 << 20 // of payloads that are not acknowledged, over all feeds, and one message each
	sizeRoom      = 8 << 10  // subject, reply subject and the protocol's own in the size of a message
	// While most of a window is with the receiver, acknowledgements come in ones: some are gathered per request.
	gatherFor = 2 * time.Millisecond
	feedPause = 200 * time.Millisecond // before a consumer is asked again that has no leader
)

// A placeKey names what a place belongs to. Without a group that is the subscription.
type placeKey struct {
	sub                  *outbox.Subscription
	stream, group, topic string
}

// A place is how far a topic was received: its consumer can be deleted while we are away, or under our hands.
type place struct {
	created time.Time // of the stream: another one counts anew
	last    uint64    // the latest message that came
	open    uint64    // the first that was not acknowledged when the connection ended; 0 means none
	// What an earlier connection, or another process, had before us is open from floor to until.
	floor, until uint64
}

// reached is the message up to which all are acknowledged.
func (p *place) reached() uint64 {
	n := p.last
	if p.floor < p.until {
		n = min(n, p.floor)
	}
	if p.open > 0 {
		n = min(n, p.open-1)
	}
	return n
}

// A feed brings the messages of one consumer.
type feed struct {
	topic    string
	consumer jetstream.Consumer
	place    *place
	ackWait  time.Duration
	most     int // messages that one request may ask for

	window, maxBytes, largest int

	// Guarded by the receiving.
	out, bytes int // what came and is not acknowledged
}

// share gives a feed its part of the window. Nothing is asked for that has no room here: what waits in the library
// would be sent again after ack-wait, and again.
func (f *feed) share(window, feeds, maxPayload int) {
	f.window, f.maxBytes, f.largest = max(1, window/feeds), max(1, maxHeldBytes/feeds), maxPayload+sizeRoom
}

// forget drops the places of former subscriptions without a group.
func (s *subscriber) forget(sub *outbox.Subscription) {
	for key := range s.places {
		if key.sub != nil && key.sub != sub {
			delete(s.places, key)
		}
	}
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

// feeds makes ready what brings a topic: a consumer for each stream that has it. A *adapters.DeliveryError is the
// server's final word.
func (s *subscriber) feeds(k *link, sub *outbox.Subscription, topic string) (feeds []*feed, err error) {
	ctx, cancel := context.WithTimeout(s.c.ctx, askPatience)
	defer cancel()
	names := []string{s.c.set.stream}
	if names[0] != "" {
		if err := s.c.stream(k); err != nil {
			return nil, s.final(topic, err)
		}
	} else if names, err = streams(ctx, k, topic); err != nil {
		return nil, s.final(topic, err)
	}
	for _, name := range names {
		f, err := s.feed(ctx, k, sub, name, topic)
		if err != nil {
			return nil, s.final(topic, err)
		}
		feeds = append(feeds, f)
	}
	return feeds, nil
}

// streams names all that have messages of a topic.
func streams(ctx context.Context, k *link, topic string) ([]string, error) {
	list := k.js.StreamNames(ctx, jetstream.WithStreamListSubject(topic))
	var names []string
	for name := range list.Name() {
		names = append(names, name)
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, jetstream.ErrStreamNotFound
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// feed finds the consumer of a topic in a stream, or makes it.
func (s *subscriber) feed(ctx context.Context, k *link, sub *outbox.Subscription, streamName, topic string) (*feed, error) {
	stream, err := k.js.Stream(ctx, streamName)
	if err != nil {
		return nil, err
	}
	key := placeKey{stream: streamName, group: sub.Group, topic: topic}
	if sub.Group == "" {
		key.sub = sub
	}
	info := stream.CachedInfo()
	p := s.places[key]
	f := &feed{topic: topic}
	if sub.Group != "" {
		f.consumer, err = stream.Consumer(ctx, consumerName(sub.Group, topic))
	}
	switch {
	case sub.Group == "" || errors.Is(err, jetstream.ErrConsumerNotFound):
		config := jetstream.ConsumerConfig{FilterSubject: topic, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.c.set.ackWait}
		if sub.Group == "" {
			config.InactiveThreshold = time.Minute
		} else {
			config.Durable = consumerName(sub.Group, topic)
		}
		// Those who share a consumer share this bound, too: it is the server's own, or more.
		if sub.Window > serversMaxAckPending {
			config.MaxAckPending = sub.Window
		}
		begin := info.State.LastSeq
		switch {
		case p != nil && (!p.created.Equal(info.Created) || p.reached() > info.State.LastSeq), p == nil && sub.FromStart,
			p != nil && info.Config.Retention == jetstream.WorkQueuePolicy: // what is acknowledged is gone from such a stream
			begin = 0
		case p != nil:
			begin = p.reached()
		}
		switch {
		case begin == 0 && (p != nil || sub.FromStart):
			config.DeliverPolicy = jetstream.DeliverAllPolicy
		case p != nil:
			config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, begin+1
		default:
			config.DeliverPolicy = jetstream.DeliverNewPolicy
		}
		if p != nil && sub.Group != "" {
			s.log(adapters.LogWarning, fmt.Sprintf("the consumer %s of the stream %s is gone; it is made anew and goes on after message %d", config.Durable, streamName, begin))
		}
		if f.consumer, err = stream.CreateConsumer(ctx, config); err != nil {
			if errors.Is(err, jetstream.ErrConsumerExists) {
				return nil, errors.New("another receiver has just made the consumer " + config.Durable + "; it is looked for again")
			}
			return nil, err
		}
		f.place = &place{created: info.Created, last: begin}
	case err != nil:
		return nil, err
	default:
		if err := s.adopt(ctx, stream, f, sub); err != nil {
			return nil, err
		}
		at := f.consumer.CachedInfo()
		f.place = &place{created: info.Created, last: at.AckFloor.Stream, floor: at.AckFloor.Stream, until: at.Delivered.Stream}
	}
	s.places[key] = f.place
	config := f.consumer.CachedInfo().Config
	f.ackWait, f.most = config.AckWait, config.MaxRequestBatch
	return f, nil
}

const serversMaxAckPending = 1000

// adopt makes an existing consumer ours if it can be: the place reached stays, bounds that others may need are raised
// and never lowered.
func (s *subscriber) adopt(ctx context.Context, stream jetstream.Stream, f *feed, sub *outbox.Subscription) error {
	have := f.consumer.CachedInfo().Config
	refuse := func(cause string) error {
		return s.c.DeliveryError(adapters.ErrRejected, f.topic, fmt.Sprintf("the consumer %s of the stream %s %s", have.Name, stream.CachedInfo().Config.Name, cause),
			"delete it (nats consumer rm), or use another consumer-group")
	}
	filters := have.FilterSubjects
	if have.FilterSubject != "" {
		filters = append([]string{have.FilterSubject}, filters...)
	}
	switch {
	case len(filters) != 1 || filters[0] != f.topic:
		return refuse(fmt.Sprintf("is not for the subject %s but for %q", f.topic, filters))
	case have.AckPolicy != jetstream.AckExplicitPolicy:
		return refuse("does not have messages acknowledged one by one (its ack policy is " + have.AckPolicy.String() + ")")
	}
	if have.AckWait > s.c.set.ackWait {
		s.once(fmt.Sprintf("the consumer %s has an ack-wait of %v from before, which stays; nats consumer edit changes it", have.Name, have.AckWait))
	}
	want := have
	want.AckWait = max(have.AckWait, s.c.set.ackWait)
	if have.MaxAckPending > 0 {
		want.MaxAckPending = max(have.MaxAckPending, sub.Window)
	}
	if want.AckWait == have.AckWait && want.MaxAckPending == have.MaxAckPending {
		return nil
	}
	consumer, err := stream.UpdateConsumer(ctx, want)
	if err == nil {
		f.consumer = consumer
	}
	return err
}

func (s *subscriber) once(text string) {
	if !s.told[text] {
		s.told[text] = true
		s.log(adapters.LogInfo, text)
	}
}

// final makes a word of JetStream's the final one for a topic; other errors end the connection.
func (s *subscriber) final(topic string, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return s.c.DeliveryError(adapters.ErrUnknownTopic, topic, "no stream has this subject", "add it to a stream, or set stream and stream-create=true")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return err
	case errors.Is(err, jetstream.ErrNotPullConsumer):
		return s.c.DeliveryError(adapters.ErrRejected, topic, "the consumer of the group pushes messages to a subject", "delete it (nats consumer rm), or use another consumer-group")
	case errors.As(err, &api) && api.Code < 500:
		return s.c.DeliveryError(adapters.ErrRejected, topic, api.Description, "see the stream and its consumers (nats consumer ls)")
	}
	return err
}

// look asks how far what was open before us is acknowledged, until all of it is.
func (f *feed) look(ctx context.Context, r *receiving, patience time.Duration) {
	r.mu.Lock()
	settled := f.place.floor >= f.place.until
	r.mu.Unlock()
	if settled {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	info, err := f.consumer.Info(ctx)
	if err != nil { // bring sees what is wrong with it
		return
	}
	r.mu.Lock()
	f.place.floor = max(f.place.floor, info.AckFloor.Stream)
	r.mu.Unlock()
}

// bring asks for what there is room for, and hands it on, until ctx ends or the consumer cannot go on.
func (s *subscriber) bring(ctx context.Context, r *receiving, sub *outbox.Subscription, f *feed) error {
	bounded := true
	for {
		n, bytes := r.wait(f)
		if n == 0 || ctx.Err() != nil {
			return nil
		}
		if n < f.window/4 {
			if !outbox.Sleep(gatherFor, ctx.Done()) {
				return nil
			}
			n, bytes = r.wait(f)
		}
		if n = min(n, askAtOnce); f.most > 0 {
			n = min(n, f.most)
		}
		opts := []jetstream.FetchOpt{jetstream.FetchContext(ctx)}
		if bytes >= f.largest && bounded {
			opts = append(opts, jetstream.FetchMaxBytes(bytes))
		} else {
			n = 1
		}
		batch, err := f.consumer.Fetch(n, opts...)
		came := false
		if err == nil {
			for m := range batch.Messages() {
				came = true
				s.received(r, sub, f, gather(m, batch.Messages()))
			}
			err = batch.Error()
		}
		// A message that a server with another max_payload has kept may be larger than any bound.
		bounded = came
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrConsumerLeadershipChanged), errors.Is(err, jetstream.ErrServerShutdown):
			outbox.Sleep(feedPause, ctx.Done())
		case errors.Is(err, client.ErrNoResponders):
			return fmt.Errorf("the consumer of %s does not answer (%w); it was deleted, or its server is away: it is looked for again", f.topic, err)
		case errors.Is(err, jetstream.ErrConsumerDeleted):
			return fmt.Errorf("the consumer of %s was deleted; it is made anew (%w)", f.topic, err)
		case err != nil:
			return err
		}
	}
}

// gather takes what is there.
func gather(first jetstream.Msg, more <-chan jetstream.Msg) []jetstream.Msg {
	list := []jetstream.Msg{first}
	for len(list) < receiveAtOnce {
		select {
		case m, ok := <-more:
			if !ok {
				return list
			}
			list = append(list, m)
		default:
			return list
		}
	}
	return list
}

// wait waits for room for a feed, and gives it; no messages at the end.
func (r *receiving) wait(f *feed) (messages, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.over && (f.out >= f.window || f.bytes >= f.maxBytes) {
		r.room.Wait()
	}
	if r.over {
		return 0, 0
	}
	return f.window - f.out, f.maxBytes - f.bytes
}

// received hands messages on. With more feeds than window they wait for room, known to the server as in progress.
func (s *subscriber) received(r *receiving, sub *outbox.Subscription, f *feed, messages []jetstream.Msg) {
	list := make([]adapters.Incoming, len(messages))
	r.mu.Lock()
	first := r.next + 1
	for i, m := range messages {
		r.next++
		h := &handed{m: m, from: f, size: len(m.Data())}
		list[i], h.seq = incoming(m)
		list[i].Token = ackToken{r, r.next}
		r.held[r.next] = h
		f.out++
		f.bytes += h.size
		f.place.last = max(f.place.last, h.seq)
	}
	for len(list) > 0 {
		for r.given >= r.window && !r.over {
			r.room.Wait()
		}
		if r.over {
			break // goodbye gives them back
		}
		n := min(len(list), r.window-r.given)
		for i := range n {
			r.held[first+uint64(i)].given = true
		}
		r.given += n
		r.mu.Unlock()
		s.Tell(sub, func(x adapters.Receiver) { x.Receive(list[:n:n]) })
		r.mu.Lock()
		list, first = list[n:], first+uint64(n)
	}
	r.mu.Unlock()
}
