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

	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	wake    chan struct{} // a token: run is to look again
	closed  atomic.Bool
	closing sync.Once
	parting context.Context // ends when there is no more time for acknowledgements
	part    context.CancelFunc

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
	c := &conn{o: o, sink: sink, info: o.info(),
		health:  health{reporter: outbox.NewReporter(sink, o.host())},
		backoff: outbox.NewBackoff(cfg), topo: newTopology(o), max: cfg.MaxMessages, wake: make(chan struct{}, 1), enc: newEncoder(o)}
	if c.max <= 0 {
		c.max = maxMessages
	}
	c.maxBulk.Store(defaultMaxBulk)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.parting, c.part = context.WithCancel(context.Background())
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
	c.closing.Do(func() {
		c.closed.Store(true)
		timer := time.AfterFunc(adapters.AckTimeout, c.part)
		c.receive.close()
		timer.Stop()
		c.part()
		c.cancel()
		c.wg.Wait()
	})
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
