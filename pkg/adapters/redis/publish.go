// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	flushInterval = 3 * time.Millisecond
	// When something goes wrong, answers under way on other connections are waited for so long.
	drainPatience = 5 * time.Second
	// So many redirections in a row without an answer are no way to a server.
	maxRedirects = 16
	// An idle connection that has lasted this long was a good one.
	goodSession = 30 * time.Second
)

// errClosed: Close was called.
var errClosed = errors.New("the connection is closed")

// errSilent: see options.patience.
var errSilent = errors.New("silent")

// A conn publishes through one goroutine that writes (run) and one per connection that reads answers (read).
//
// One mutex guards the queue and what is under way. It is never held while the network or the Sink is called.
// Whatever goes wrong ends the session: nothing more is written, the answers under way on sound connections
// are waited for, and all connections are closed. What has no answer then is sent again in its order in the
// next session.
type conn struct {
	o       *options
	sink    adapters.Sink
	info    adapters.Info
	health  health
	backoff *outbox.Backoff
	topo    *topology // of run alone
	max     int       // messages
	maxBulk atomic.Int64

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{} // a token: run is to look again
	closed atomic.Bool

	mu       sync.Mutex
	enc      *encoder
	q        queue
	sent     int // messages under way
	trial    bool
	trouble  *trouble
	progress bool // a message was answered for in this session
	telling  int  // goroutines that are about to tell, or tell, results
	wants    want // what run waits for

	refused []adapters.Result // of Publish

	receive consumer
}

// A want is what wakes run.
type want int

const (
	nothing want = iota
	messages
	answers
)

// A trouble ends a session.
type trouble struct {
	err      error
	answer   bool // the server has said so about a message
	redirect bool
	from     string
}

// A lane is one connection of a session.
type lane struct {
	addr   string
	asking bool // each message goes with an ASKING, which is answered too
	nc     net.Conn
	r      *replyReader
	asked  bool // the next answer is that to ASKING
	done   []adapters.Result

	// Guarded by conn.mu.
	pending []segment
	head    int       // of pending: the first that waits for answers
	waiting int       // messages without an answer
	since   time.Time // of the last answer, or of the first message after it
	broken  bool
}

func newConn(cfg adapters.Config, o *options, sink adapters.Sink) *conn {
	c := &conn{o: o, sink: sink, info: adapters.Info{Host: o.host(), Topic: o.topic, PartitionKey: o.partitionKey},
		health:  health{reporter: outbox.NewReporter(sink, o.host())},
		backoff: outbox.NewBackoff(cfg), topo: newTopology(o), max: cfg.MaxMessages, wake: make(chan struct{}, 1), enc: newEncoder(o)}
	if c.max <= 0 {
		c.max = maxMessages
	}
	c.maxBulk.Store(defaultMaxBulk)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.receive.init(c, cfg)
	if !cfg.ReceiveOnly {
		c.health.set(publishing, condition{used: true})
	}
	return c
}

func (c *conn) start() {
	if c.health.parts[publishing].used {
		safe.Go(&c.wg, "publishing to "+c.info.Host, c.panicked, c.run)
	}
}

func (c *conn) panicked(e *safe.PanicError) {
	c.sink.Log(adapters.LogEntry{Level: adapters.LogError, Facility: "redis", Text: e.Error() + "\n" + string(e.Stack)})
	c.health.reporter.Tell(adapters.Failed, "internal error: "+e.Error(), 0, 0)
}

// Info is what the configuration says about the connection.
func (c *conn) Info() adapters.Info { return c.info }

// Publish encodes messages into the queue.
func (c *conn) Publish(b *adapters.Batch, from int) (int, error) {
	if err := c.health.reporter.Err(); err != nil {
		return 0, err
	}
	limit := int(c.maxBulk.Load())
	n := 0
	c.mu.Lock()
	for i := from; i < b.Len() && c.q.messages < c.max; i++ {
		m := b.At(i)
		if len(m.Payload) > limit {
			c.refused = append(c.refused, adapters.Result{Seq: m.Seq, Err: c.o.refusal(&serverError{fmt.Sprintf(
				"proto-max-bulk-len is %d: invalid bulk length", limit)}, c.info.Host, string(m.Topic), len(m.Payload))})
			n++
			continue
		}
		if c.q.messages > 0 && c.q.bytes+len(m.Payload) > maxBytes {
			break
		}
		c.q.add(c.enc, &m)
		n++
	}
	refused := c.refused
	if len(refused) > 0 {
		c.telling++
	}
	if n > 0 {
		c.wakeLocked(messages)
	}
	c.mu.Unlock()
	if len(refused) > 0 {
		c.sink.Done(refused)
		c.mu.Lock()
		c.refused = c.refused[:0]
		c.telling--
		c.mu.Unlock()
	}
	return n, nil
}

// wakeLocked wakes run if it waits for that.
func (c *conn) wakeLocked(w want) {
	if c.wants != w {
		return
	}
	c.wants = nothing
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Flush waits until every message has its result.
func (c *conn) Flush(ctx context.Context) error {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	for {
		c.mu.Lock()
		idle := c.q.messages == 0 && c.telling == 0
		c.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.health.reporter.Failed():
			return c.health.reporter.Err()
		case <-c.ctx.Done():
			return errClosed
		case <-ticker.C:
		}
	}
}

// Close gives up what has no answer. Acknowledgements of messages received are still handed over, within
// adapters.AckTimeout.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.receive.close()
	c.cancel()
	c.wg.Wait()
	return nil
}

// run is the life of the publishing half: session after session.
func (c *conn) run() {
	redirects := 0
	for c.ctx.Err() == nil {
		began := time.Now()
		t := c.session()
		if c.ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		progress := c.progress
		c.mu.Unlock()
		if progress || time.Since(began) > goodSession {
			redirects = 0
			c.backoff.Reset()
		}
		if t.redirect && redirects < maxRedirects {
			var e *serverError
			if !errors.As(t.err, &e) || c.topo.moved(e, t.from) {
				redirects++
				continue
			}
			t.err = &serverError{e.text + "; it is a node of a cluster: set cluster=true, without db and sentinel-master"}
		}
		if t.answer {
			c.mu.Lock()
			c.trial = true
			c.mu.Unlock()
		}
		attempt, pause := c.backoff.Next()
		reason := c.o.reason(t.err)
		if t.from != "" && t.from != c.info.Host {
			reason = t.from + ": " + reason
		}
		c.health.down(publishing, reason, attempt, pause)
		timer := time.NewTimer(pause)
		select {
		case <-c.ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// session connects and sends until something goes wrong.
func (c *conn) session() *trouble {
	c.mu.Lock()
	c.trouble, c.progress = nil, false
	c.mu.Unlock()
	if err := c.topo.find(c.ctx); err != nil {
		return &trouble{err: err}
	}
	s := session{c: c, lanes: map[lanePlace]*lane{}}
	defer s.end()
	if t := s.open(lanePlace{c.topo.home(), false}); t != nil {
		return t
	}
	c.mu.Lock()
	trial := c.trial
	c.mu.Unlock()
	if !trial {
		c.health.up(publishing)
	}
	for {
		if t := s.step(); t != nil {
			s.drain()
			return t
		}
	}
}

// A session is what lives from connecting to the first trouble.
type session struct {
	c     *conn
	lanes map[lanePlace]*lane
	wg    sync.WaitGroup
}

type lanePlace struct {
	addr   string
	asking bool
}

// open makes a connection.
func (s *session) open(at lanePlace) *trouble {
	c := s.c
	nc, err := c.o.dial(c.ctx, at.addr, c.o.tls)
	if err != nil {
		return &trouble{err: err, from: at.addr}
	}
	// Close must not wait for a server that does not answer.
	stop := context.AfterFunc(c.ctx, func() { _ = nc.Close() })
	l := &lane{addr: at.addr, asking: at.asking, nc: nc, r: newReplyReader(nc)}
	maxBulk, err := identity{c.o.username, c.o.password, c.o.db, c.o.clientName}.greet(nc, l.r)
	if err != nil {
		stop()
		_ = nc.Close()
		return &trouble{err: err, from: at.addr}
	}
	if maxBulk > 0 {
		c.maxBulk.Store(maxBulk)
	}
	s.lanes[at] = l
	safe.Go(&s.wg, "answers of "+at.addr, c.panicked, func() {
		defer stop()
		c.read(l)
	})
	return nil
}

// step sends one run of messages, or waits.
func (s *session) step() *trouble {
	c := s.c
	if c.ctx.Err() != nil {
		return &trouble{err: errClosed}
	}
	if c.topo.stale() {
		return &trouble{redirect: true, err: errors.New("the slots are being moved")}
	}
	c.mu.Lock()
	if t := c.trouble; t != nil {
		c.mu.Unlock()
		return t
	}
	limit := c.o.inFlight - c.sent
	if c.trial {
		limit = 1 - c.sent
	}
	ch, i := c.q.peek()
	if ch == nil || limit <= 0 {
		if c.wants = answers; ch == nil {
			c.wants = messages
		}
		c.mu.Unlock()
		s.wait()
		return nil
	}
	var at lanePlace
	at.addr, at.asking = c.topo.place(ch.topic(i))
	l := s.lanes[at]
	if l == nil {
		topic := string(ch.topic(i))
		c.mu.Unlock()
		if at.addr == "" {
			return &trouble{err: &serverError{fmt.Sprintf("CLUSTERDOWN no node has slot %d of stream %s", slotOf([]byte(topic)), topic)}}
		}
		return s.open(at)
	}
	var same func(*chunk, int) bool
	if c.topo.cluster {
		same = func(ch *chunk, i int) bool {
			addr, asking := c.topo.place(ch.topic(i))
			return addr == at.addr && asking == at.asking
		}
	}
	seg := c.q.take(ch, i, limit, same)
	n := seg.to - seg.from
	if l.waiting == 0 {
		l.since = time.Now()
	}
	l.pending = append(l.pending, seg)
	l.waiting += n
	c.sent += n
	data := ch.buf[ch.entries[seg.from].start:ch.entries[seg.to-1].end]
	if at.asking {
		data = withAsking(ch, seg)
	}
	ch.writing++
	c.mu.Unlock()
	_ = l.nc.SetWriteDeadline(time.Now().Add(c.o.patience))
	_, err := l.nc.Write(data)
	c.mu.Lock()
	ch.writing--
	c.q.free()
	c.mu.Unlock()
	if err != nil {
		c.fail(l, err)
	}
	return nil
}

// withAsking copies the commands of seg, each behind an ASKING.
func withAsking(ch *chunk, seg segment) []byte {
	var out []byte
	for _, e := range ch.entries[seg.from:seg.to] {
		out = append(append(out, asking...), ch.buf[e.start:e.end]...)
	}
	return out
}

// wait sleeps until there is something to look at.
func (s *session) wait() {
	var again <-chan time.Time
	if !s.c.topo.until.IsZero() {
		timer := time.NewTimer(askLifetime)
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-s.c.wake:
	case <-s.c.ctx.Done():
	case <-again:
	}
}

// drain waits for the answers that are under way on sound connections.
func (s *session) drain() {
	timer := time.NewTimer(drainPatience)
	defer timer.Stop()
	for {
		busy := false
		s.c.mu.Lock()
		for _, l := range s.lanes {
			busy = busy || (!l.broken && l.waiting > 0)
		}
		s.c.wants = answers
		s.c.mu.Unlock()
		if !busy {
			return
		}
		select {
		case <-s.c.wake:
		case <-s.c.ctx.Done():
			return
		case <-timer.C:
			return
		}
	}
}

// end closes everything; what has no answer is to be sent again.
func (s *session) end() {
	for _, l := range s.lanes {
		_ = l.nc.Close()
	}
	s.wg.Wait()
	s.c.mu.Lock()
	s.c.sent = 0
	s.c.q.rewind()
	s.c.mu.Unlock()
}

// fail marks a connection as lost.
func (c *conn) fail(l *lane, err error) {
	c.mu.Lock()
	l.broken = true
	if c.trouble == nil {
		if errors.Is(err, errSilent) {
			err = fmt.Errorf("%w: no answer to %d messages for %v; check the server and the network", errSilent, l.waiting, c.o.patience)
		}
		c.trouble = &trouble{err: err, from: l.addr}
	}
	c.wakeLocked(c.wants)
	c.mu.Unlock()
}

// read collects the answers of one connection.
func (c *conn) read(l *lane) {
	look := min(max(c.o.patience/8, 50*time.Millisecond), time.Second)
	for {
		good := 0
		for {
			p, ok, err := l.r.next()
			if err == nil && ok && p.kind == '*' {
				err = errReply
			}
			if err != nil {
				c.settle(l, good)
				c.fail(l, err)
				return
			}
			if !ok {
				break
			}
			if l.asking {
				if l.asked = !l.asked; l.asked {
					continue
				}
			}
			if p.kind != '-' {
				good++
				continue
			}
			e := &serverError{string(p.text)}
			if !c.settle(l, good) || !c.refuse(l, e) {
				c.fail(l, e)
				return
			}
			good = 0
		}
		if !c.settle(l, good) {
			c.fail(l, errReply)
			return
		}
		_ = l.nc.SetReadDeadline(time.Now().Add(look))
		err := l.r.fill()
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			if err = nil; c.silent(l) {
				err = errSilent
			}
		}
		if err != nil {
			c.fail(l, err)
			return
		}
	}
}

func (c *conn) silent(l *lane) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.waiting > 0 && time.Since(l.since) > c.o.patience
}

// settle reports the next n messages of the connection as taken. false means that there are not so many.
func (c *conn) settle(l *lane, n int) bool {
	if n == 0 {
		return true
	}
	l.done = l.done[:0]
	c.mu.Lock()
	if n > l.waiting {
		c.mu.Unlock()
		return false
	}
	c.sent -= n
	l.waiting -= n
	l.since = time.Now()
	for n > 0 {
		s := &l.pending[l.head]
		for ; s.from < s.to && n > 0; s.from++ {
			c.q.answer(s.ch, s.from)
			l.done = append(l.done, adapters.Result{Seq: s.ch.entries[s.from].seq})
			n--
		}
		l.pop()
	}
	c.q.free()
	c.progress = true
	over := c.trial && c.trouble == nil
	if over {
		c.trial = false
	}
	c.wakeLocked(answers)
	c.tellLocked(l)
	if over {
		c.health.up(publishing)
	}
	return true
}

// pop forgets segments without messages.
func (l *lane) pop() {
	for l.head < len(l.pending) && l.pending[l.head].from == l.pending[l.head].to {
		l.pending[l.head].ch = nil
		l.head++
	}
	switch {
	case l.head == len(l.pending):
		l.pending, l.head = l.pending[:0], 0
	case l.head > 64 && l.head > len(l.pending)/2:
		l.pending = l.pending[:copy(l.pending, l.pending[l.head:])]
		l.head = 0
	}
}

// tellLocked unlocks and tells the results of the connection.
func (c *conn) tellLocked(l *lane) {
	c.telling++
	c.mu.Unlock()
	c.sink.Done(l.done)
	c.mu.Lock()
	c.telling--
	c.mu.Unlock()
}

// refuse takes an error for the next message of the connection. One that may pass makes the message stay and
// the session end; any other is the message's result. false means that no message is meant.
func (c *conn) refuse(l *lane, e *serverError) bool {
	_, _, _, redirect := e.redirect()
	stays := redirect || passing[e.code()] != ""
	c.mu.Lock()
	if l.waiting == 0 {
		c.mu.Unlock()
		return false
	}
	s := &l.pending[l.head]
	ch, i := s.ch, s.from
	s.from++
	c.sent--
	l.waiting--
	l.since = time.Now()
	l.pop()
	if stays {
		if c.trouble == nil {
			c.trouble = &trouble{err: e, answer: !redirect, redirect: redirect, from: l.addr}
		}
		c.wakeLocked(c.wants)
		c.mu.Unlock()
		return true
	}
	topic, size := string(ch.topic(i)), int(ch.entries[i].payload)
	l.done = append(l.done[:0], adapters.Result{Seq: ch.entries[i].seq, Err: c.o.refusal(e, l.addr, topic, size)})
	c.q.answer(ch, i)
	c.q.free()
	c.progress = true
	// Whether writing is possible was looked at before the message, but for the right to do so.
	over := c.trial && c.trouble == nil && e.code() != "NOPERM"
	if over {
		c.trial = false
	}
	c.wakeLocked(answers)
	c.tellLocked(l)
	if over {
		c.health.up(publishing)
	}
	return true
}
