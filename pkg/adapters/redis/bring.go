// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

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
	told    bool // that acknowledgements are refused
	count   int  // how many entries are asked for at once: see measured

	room    chan struct{} // a token: messages were acknowledged
	ackable chan struct{} // a token: there is something in acks

	// Guarded by s.mu.
	out       map[string]map[string]handed // ids handed out whose acknowledgement the server has not taken, by stream
	outCount  int                          // of these, those that the receiver has not acknowledged …
	outBytes  int                          // … and their payloads
	acks      map[string][]string          // to confirm
	condition condition
}

// A handed entry is with the receiver, or its acknowledgement is under way: it must not be handed out again.
type handed struct {
	size  int
	acked bool
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
		asked := maps.Clone(acks)
		refused, err := l.ack(b.s.cfg.Group, acks)
		b.s.mu.Lock()
		for topic, ids := range asked {
			if _, left := acks[topic]; left {
				continue
			}
			for _, id := range ids {
				delete(b.out[topic], id)
			}
		}
		for topic, ids := range b.acks {
			acks[topic] = append(acks[topic], ids...)
		}
		b.acks = acks
		b.s.mu.Unlock()
		if refused != nil && !b.told {
			b.told = true
			b.s.c.sink.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "redis", Text: "acknowledgements to " + l.addr + " are refused: " + b.s.c.o.reason(refused) +
				"; the messages will come again"})
		}
		if err != nil {
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
	// The library does not look at a context while it waits for an answer.
	defer context.AfterFunc(ctx, func() {
		l.interrupt()
		time.AfterFunc(partPatience, l.giveUp) // time for the last acknowledgements …
	})()
	defer context.AfterFunc(b.s.c.parting, l.giveUp)() // … of which Close has little
	topics, err := b.prepare(ctx, l)
	if err != nil {
		_ = b.confirm(l) // those of the session before
		return from, err
	}
	if err := b.confirm(l); err != nil { // or it would come again
		return from, err
	}
	var wg sync.WaitGroup
	var ackErr error
	safe.Go(&wg, "acknowledgements to "+from, b.s.c.panicked, func() { ackErr = b.acknowledge(ctx, cancel, l) })
	b.s.report(b, condition{state: adapters.Connected})
	b.backoff.Reset()
	err = b.bring(ctx, l, topics)
	cancel()
	wg.Wait()
	// The last ones, also when it was the reading that failed.
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
	partPatience = 5 * time.Second // of the last acknowledgements, unless the connection is being closed
	readAtOnce   = 256
	firstRead    = 16      // entries: nobody knows yet how large they are
	replyBytes   = 4 << 20 // about so much is asked for at once
	blockFor     = time.Second
	blockBriefs  = 50 * time.Millisecond // when not all streams can be read at once
)

// maxOutBytes of payloads are with the receiver at most, and one message in any case: the window bounds their
// number alone. Tests shrink it.
var maxOutBytes = 64 << 20

// bring hands out what is pending from before, then what comes.
func (b *bringer) bring(ctx context.Context, l *link, topics []string) error {
	if len(topics) == 0 {
		return b.idle(ctx, l)
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
		got, err := l.read(ctx, b.s.cfg.Group, b.s.c.o.consumerName, max(1, min(b.count, room/k)), block, some, ids)
		b.measured(ctx, got, err)
		if err != nil {
			return err
		}
		for _, s := range got {
			b.hand(s.topic, s.entries, false)
		}
	}
	return nil
}

// idle looks after the connection when no stream can be read: it ends when the server is gone, since the next
// one may allow it.
func (b *bringer) idle(ctx context.Context, l *link) error {
	ticker := time.NewTicker(min(blockFor, b.s.c.o.patience/2))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		var refused *serverError
		if err := l.ping(ctx); err != nil && !errors.As(err, &refused) {
			return err
		}
	}
}

// measured chooses how many entries to ask for the next time. An answer of hundreds that are large would fill
// the memory, and over a slow line it would not come in time, again and again.
func (b *bringer) measured(ctx context.Context, got []stream, err error) {
	n, bytes := 0, 0
	for _, s := range got {
		n += len(s.entries)
		for _, item := range s.entries {
			bytes += entrySize(item)
		}
	}
	var refused *serverError
	switch {
	case errors.As(err, &refused) || errors.Is(err, errAgain) || ctx.Err() != nil:
	case err != nil:
		b.count = max(1, b.count/4)
	case bytes > replyBytes:
		b.count = max(1, int(int64(n)*replyBytes/int64(bytes)))
	case n >= b.count && 2*bytes <= replyBytes:
		b.count = min(2*b.count, readAtOnce)
	}
}

// waitRoom waits until a message may be handed out, and gives how many may; 0 at the end.
func (b *bringer) waitRoom(ctx context.Context) int {
	for {
		b.s.mu.Lock()
		room := b.window - b.outCount
		if b.outBytes >= maxOutBytes {
			room = 0
		}
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
		got, err := l.read(ctx, b.s.cfg.Group, b.s.c.o.consumerName, min(b.count, room), -1, []string{topic}, []string{last})
		b.measured(ctx, got, err)
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
		next, entries, err := l.claim(ctx, topic, b.s.cfg.Group, b.s.c.o.consumerName, b.s.c.o.claimIdle, cursor, min(b.count, room))
		b.measured(ctx, []stream{{topic, entries}}, err)
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
		m, ok := b.s.c.o.decode(topic, item)
		if !ok || len(fields) == 0 { // deleted from the stream meanwhile: nobody can have it
			b.out[topic][id] = handed{acked: true}
			b.acks[topic] = append(b.acks[topic], id)
			signal(b.ackable)
			continue
		}
		tokens[i] = token{b, topic, id}
		m.Token, m.Redelivered = &tokens[i], again
		b.out[topic][id] = handed{size: len(m.Payload)}
		b.outCount++
		b.outBytes += len(m.Payload)
		messages = append(messages, m)
	}
	b.s.mu.Unlock()
	if len(messages) > 0 {
		b.s.tell(func(r adapters.Receiver) { r.Receive(messages) })
	}
}
