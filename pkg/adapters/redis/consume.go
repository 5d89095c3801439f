// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

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
	if c.closed.Load() {
		return errClosed
	}
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
	if c.closed.Load() { // Close may have looked before this one was there
		s.end()
	}
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
		if _, out := t.b.out[t.topic][t.id]; !out {
			continue
		}
		delete(t.b.out[t.topic], t.id)
		t.b.outCount--
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
				known: map[string]bool{}, out: map[string]map[string]struct{}{}, acks: map[string][]string{},
				room: make(chan struct{}, 1), ackable: make(chan struct{}, 1), backoff: outbox.NewBackoff(s.c.receive.cfg)}
			for _, t := range g {
				b.out[t] = map[string]struct{}{}
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

// A bringer reads some streams of one server.
type bringer struct {
	s       *subscription
	topics  []string
	window  int
	cluster bool
	ctx     context.Context
	stop    context.CancelFunc // of all bringers
	backoff *outbox.Backoff
	topo    *topology
	known   map[string]bool // streams whose group was there once
	turn    int

	room    chan struct{} // a token: messages were acknowledged
	ackable chan struct{} // a token: there is something in acks

	// Guarded by s.mu.
	out       map[string]map[string]struct{} // ids handed out and not acknowledged, by stream
	outCount  int
	acks      map[string][]string // to confirm
	condition condition
}

// errAgain: begin again at once; the groups are to be made anew.
var errAgain = errors.New("a group is gone")

func (b *bringer) run() {
	b.topo = newTopology(b.s.c.o)
	b.topo.cluster = b.cluster
	for b.ctx.Err() == nil {
		from, err := b.session()
		if b.ctx.Err() != nil {
			return
		}
		var e *serverError
		if errors.As(err, &e) && b.topo.moved(e, from) && !b.cluster {
			b.cluster = true
			b.stop()
			return
		}
		attempt, pause := b.backoff.Next()
		if !errors.Is(err, errAgain) {
			b.s.report(b, condition{state: adapters.Disconnected, reason: from + ": " + b.s.c.o.reason(err), attempt: attempt, next: pause})
		}
		b.sleep(pause)
	}
}

func (b *bringer) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
	case <-timer.C:
	}
}

// confirm hands acknowledgements to the server. What it could not is left for the next call.
func (b *bringer) confirm(l *link) error {
	for {
		b.s.mu.Lock()
		acks := b.acks
		b.acks = map[string][]string{}
		b.s.mu.Unlock()
		if len(acks) == 0 {
			return nil
		}
		if err := l.ack(b.s.cfg.Group, acks); err != nil {
			b.s.mu.Lock()
			for topic, ids := range b.acks {
				acks[topic] = append(acks[topic], ids...)
			}
			b.acks = acks
			b.s.mu.Unlock()
			return err
		}
	}
}

// session reads from one connection until something goes wrong.
func (b *bringer) session() (from string, err error) {
	o := b.s.c.o
	if err := b.topo.find(b.ctx); err != nil {
		return o.host(), err
	}
	from, _ = b.topo.place([]byte(b.topics[0]))
	if from == "" {
		return o.host(), &serverError{"CLUSTERDOWN no node has the slot of " + b.topics[0]}
	}
	l, err := newLink(b.ctx, o, from)
	if err != nil {
		return from, err
	}
	defer l.close()
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	// A read that waits for messages does not look at its context.
	defer context.AfterFunc(ctx, l.interrupt)()
	topics, err := b.prepare(ctx, l)
	if err != nil {
		return from, err
	}
	var wg sync.WaitGroup
	var ackErr error
	safe.Go(&wg, "acknowledgements to "+from, b.s.c.panicked, func() { ackErr = b.acknowledge(ctx, cancel, l) })
	b.s.report(b, condition{state: adapters.Connected})
	b.backoff.Reset()
	err = b.bring(ctx, l, topics)
	cancel()
	// The last ones, also when it was the reading that failed.
	timer := time.AfterFunc(adapters.AckTimeout, l.giveUp)
	defer timer.Stop()
	wg.Wait()
	if e := b.confirm(l); ackErr != nil {
		err = ackErr
	} else if err == nil {
		err = e
	}
	return from, err
}

// acknowledge confirms what is acknowledged, until the session ends.
func (b *bringer) acknowledge(ctx context.Context, cancel context.CancelFunc, l *link) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.ackable:
		}
		if err := b.confirm(l); err != nil {
			cancel()
			return err
		}
	}
}

// prepare makes the groups, and gives the streams that can be read.
func (b *bringer) prepare(ctx context.Context, l *link) (topics []string, err error) {
	for _, t := range b.topics {
		err := l.createGroup(ctx, t, b.s.cfg.Group, b.s.cfg.FromStart || b.known[t])
		var e *serverError
		if errors.As(err, &e) {
			if _, _, _, redirect := e.redirect(); redirect || passing[e.code()] != "" {
				return nil, err
			}
			// The group may have been made by someone who was allowed to.
			if _, again := l.read(ctx, b.s.cfg.Group, b.s.c.o.consumerName, 1, -1, []string{t}, []string{"0"}); again == nil {
				err = nil
			}
		} else if err != nil {
			return nil, err
		}
		if err != nil {
			d := b.s.c.o.subscribeError(e, l.addr, t)
			b.s.tell(func(r adapters.Receiver) { r.Subscribed(t, d) })
			continue
		}
		b.known[t] = true
		topics = append(topics, t)
		b.s.tell(func(r adapters.Receiver) { r.Subscribed(t, nil) })
	}
	return topics, nil
}

const (
	readAtOnce  = 256
	blockFor    = time.Second
	blockBriefs = 50 * time.Millisecond // when not all streams can be read at once
)

// bring hands out what is pending from before, then what comes.
func (b *bringer) bring(ctx context.Context, l *link, topics []string) error {
	if len(topics) == 0 {
		<-ctx.Done()
		return nil
	}
	for _, t := range topics {
		if err := b.pending(ctx, l, t); err != nil {
			return err
		}
	}
	idle := b.s.c.o.claimIdle
	var claimed time.Time
	for ctx.Err() == nil {
		if idle > 0 && time.Since(claimed) > idle/2 {
			claimed = time.Now()
			for _, t := range topics {
				if err := b.claim(ctx, l, t); err != nil {
					return err
				}
			}
		}
		room := b.waitRoom(ctx)
		if room == 0 {
			return nil
		}
		k := min(len(topics), room)
		block := min(blockFor, b.s.c.o.patience/2)
		if k < len(topics) {
			block = blockBriefs
		}
		if idle > 0 {
			block = min(block, idle/2)
		}
		some, ids := make([]string, 0, k), make([]string, 0, k)
		for i := range k {
			some = append(some, topics[(b.turn+i)%len(topics)])
			ids = append(ids, ">")
		}
		b.turn += k
		got, err := l.read(ctx, b.s.cfg.Group, b.s.c.o.consumerName, max(1, min(readAtOnce, room/k)), block, some, ids)
		if err != nil {
			return err
		}
		for _, s := range got {
			b.hand(s.topic, s.entries, false)
		}
	}
	return nil
}

// waitRoom waits until a message may be handed out, and gives how many may; 0 at the end.
func (b *bringer) waitRoom(ctx context.Context) int {
	for {
		b.s.mu.Lock()
		room := b.window - b.outCount
		b.s.mu.Unlock()
		if room > 0 {
			return room
		}
		select {
		case <-ctx.Done():
			return 0
		case <-b.room:
		}
	}
}

// pending hands out again what this consumer was given and has not acknowledged, by whatever process.
func (b *bringer) pending(ctx context.Context, l *link, topic string) error {
	last := "0"
	for ctx.Err() == nil {
		room := b.waitRoom(ctx)
		if room == 0 {
			return nil
		}
		got, err := l.read(ctx, b.s.cfg.Group, b.s.c.o.consumerName, min(readAtOnce, room), -1, []string{topic}, []string{last})
		if err != nil {
			return err
		}
		if len(got) == 0 || len(got[0].entries) == 0 {
			return nil
		}
		last, _ = splitEntry(got[0].entries[len(got[0].entries)-1])
		b.hand(topic, got[0].entries, true)
	}
	return nil
}

// claim takes over what other consumers of the group have left.
func (b *bringer) claim(ctx context.Context, l *link, topic string) error {
	cursor := "0-0"
	for ctx.Err() == nil {
		room := b.waitRoom(ctx)
		if room == 0 {
			return nil
		}
		next, entries, err := l.claim(ctx, topic, b.s.cfg.Group, b.s.c.o.consumerName, b.s.c.o.claimIdle, cursor, min(readAtOnce, room))
		if err != nil {
			return err
		}
		b.hand(topic, entries, true)
		if next == "0-0" || next == "" {
			return nil
		}
		cursor = next
	}
	return nil
}

// hand gives entries to the receiver, but for those that it has already.
func (b *bringer) hand(topic string, entries []any, again bool) {
	messages := make([]adapters.Incoming, 0, len(entries))
	tokens := make([]token, len(entries))
	b.s.mu.Lock()
	for i, item := range entries {
		id, fields := splitEntry(item)
		if _, has := b.out[topic][id]; has || id == "" {
			continue
		}
		if again && slices.Contains(b.acks[topic], id) {
			continue // about to be confirmed
		}
		m, ok := b.s.c.o.decode(topic, item)
		if !ok || len(fields) == 0 { // deleted from the stream meanwhile: nobody can have it
			b.acks[topic] = append(b.acks[topic], id)
			signal(b.ackable)
			continue
		}
		tokens[i] = token{b, topic, id}
		m.Token, m.Redelivered = &tokens[i], again
		b.out[topic][id] = struct{}{}
		b.outCount++
		messages = append(messages, m)
	}
	b.s.mu.Unlock()
	if len(messages) > 0 {
		b.s.tell(func(r adapters.Receiver) { r.Receive(messages) })
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
