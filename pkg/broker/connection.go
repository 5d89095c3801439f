// SPDX-License-Identifier: LGPL-2.1-or-later

// Package broker carries messages to a server through an adapter (package adapters): it queues them,
// counts what the server acknowledged, tells the state of the connection, and drains.
//
// Publish copies the message into a bounded queue and returns; it never waits for the network. One
// goroutine hands the queue to the adapter in batches, one goroutine calls the user's callbacks. A
// message stays in the queue until the server has answered for it.
//
// Lock order: there is one lock per connection, mu. Nothing is called under it: no adapter, no callback.
package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Errors of Publish and PublishWait.
var (
	ErrFull     = errors.New("the queue is full")
	ErrTooLarge = errors.New("the message is larger than the whole queue")
	ErrClosed   = errors.New("the connection is closed")
	ErrNoTopic  = errors.New("the message has no topic and the connection has no default one")
	ErrCanceled = errors.New("the wait was interrupted")
)

// Defaults of Options.
const (
	DefaultMaxMessages = 100_000
	DefaultMaxBytes    = 64 << 20
)

// Options describe a connection. The callbacks are called one after the other by a goroutine of the
// connection, outside all locks; they may use the connection, but must not call Close or Drain.
type Options struct {
	ProtoLib   string // name of a protocol, or the path of a DeepStream adaptor that stands for it
	ConnStr    string // as the protocol writes it
	ConfigPath string // key file with the group [message-broker]; "" means none
	Topic      string // default topic; wins over those of ConnStr and of the configuration

	MaxMessages int   // messages without an answer of the server; 0 means DefaultMaxMessages
	MaxBytes    int64 // bytes of them (topic, key and payload); 0 means DefaultMaxBytes

	StrictConfig bool // an unknown key or option is an error of Connect; otherwise a warning to Log

	Log       func(adapters.LogEntry)
	OnState   func(StateChange)
	OnDropped func(DropReport) // at most once a second
	// OnClosed is the very last call of a connection that Connect has given: usually before Close returns,
	// later if another callback still runs then. After it nothing of the caller's is used any more.
	OnClosed func()
}

// A Message is what Publish takes. Nothing of it is kept after the call.
type Message struct {
	Topic       string // "" means the default topic
	Key         []byte // nil or empty means none
	Payload     []byte
	TimestampMS int64 // milliseconds since 1970 UTC; 0 means now
}

// A Connection sends messages to a server. Its methods are safe for use by many goroutines.
type Connection struct {
	opts        Options
	adapter     adapters.Adapter
	substituted bool
	maxMessages int
	maxBytes    int64

	mu      sync.Mutex
	q       queue
	seq     uint64 // of the last message accepted
	info    adapters.Info
	stats   counters
	state   State
	reason  string
	was     bool // has been connected
	session int  // counts the adapter's Conns
	closed  bool
	idle    bool          // the dispatcher waits for wake
	full    bool          // the dispatcher waits for room, or is about to
	told    bool          // the first state was told
	waiters int           // goroutines that wait on changed
	changed chan struct{} // closed and replaced when there are waiters and something has changed

	wake   chan struct{} // one token: look at the queue
	room   chan struct{} // one token: the adapter may have room again
	stop   chan struct{} // closed by Close
	wg     sync.WaitGroup
	notify notifier
}

// Connect validates everything that can be validated without the server and starts to connect in the
// background. Its errors are mistakes of configuration; a server that is away is none.
func Connect(opts Options) (*Connection, error) {
	name, substituted, err := adapters.ResolveProtoLib(opts.ProtoLib)
	if err != nil {
		return nil, err
	}
	a, _ := adapters.Lookup(name)
	return connect(opts, a, substituted)
}

func connect(opts Options, a adapters.Adapter, substituted bool) (*Connection, error) {
	c := &Connection{opts: opts, adapter: a, substituted: substituted,
		maxMessages: opts.MaxMessages, maxBytes: opts.MaxBytes, changed: make(chan struct{}),
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1), stop: make(chan struct{})}
	if c.maxMessages < 0 || c.maxBytes < 0 {
		return nil, fmt.Errorf("the bounds of the queue (%d messages, %d bytes) are negative; set positive ones, or 0 for the defaults",
			opts.MaxMessages, opts.MaxBytes)
	}
	if c.maxMessages == 0 {
		c.maxMessages = DefaultMaxMessages
	}
	if c.maxBytes == 0 {
		c.maxBytes = DefaultMaxBytes
	}
	c.notify.start(c)
	conn, err := c.open()
	if err != nil {
		c.opts.OnClosed = nil
		c.notify.finish(context.Background())
		return nil, err
	}
	c.mu.Lock()
	c.info = conn.Info()
	c.mu.Unlock()
	safe.Go(&c.wg, "dispatch of "+a.Name(), c.panicked, func() { c.dispatch(conn) })
	return c, nil
}

// open starts a session of the adapter.
func (c *Connection) open() (adapters.Conn, error) {
	c.mu.Lock()
	c.session++
	s := &sink{c: c, session: c.session}
	c.mu.Unlock()
	return c.adapter.Open(adapters.Config{ConnStr: c.opts.ConnStr, ConfigPath: c.opts.ConfigPath,
		Strict: c.opts.StrictConfig, MaxMessages: c.maxMessages}, s)
}

// panicked is told of a panic in one of our goroutines: the connection is of no use any more.
func (c *Connection) panicked(e *safe.PanicError) {
	c.mu.Lock()
	c.closed = true
	c.setStateLocked(StateFailed, "internal error: "+e.Error())
	c.signalLocked()
	c.mu.Unlock()
	c.notify.log(adapters.LogEntry{Level: adapters.LogError, Facility: "broker", Text: e.Error() + "\n" + string(e.Stack)})
}

// DefaultTopic is where messages without a topic go; "" when there is no such topic.
func (c *Connection) DefaultTopic() string {
	if c.opts.Topic != "" {
		return c.opts.Topic
	}
	return c.info.Topic
}

// PartitionKey is the path of the field that is to become the key, as the configuration names it; ""
// when it does not.
func (c *Connection) PartitionKey() string { return c.info.PartitionKey }

// Publish copies m into the queue. It never waits: when the queue is full it returns ErrFull, and the
// message counts as dropped.
func (c *Connection) Publish(m Message) error {
	ts := m.TimestampMS
	if ts == 0 {
		ts = time.Now().UnixMilli()
	}
	topic := m.Topic
	if topic == "" {
		topic = c.DefaultTopic()
	}
	c.mu.Lock()
	err := c.putLocked(&m, topic, ts)
	if err != nil {
		c.dropLocked(err)
	}
	c.mu.Unlock()
	return err
}

// putLocked takes the message into the queue or says why not.
func (c *Connection) putLocked(m *Message, topic string, ts int64) error {
	size := len(topic) + len(m.Key) + len(m.Payload)
	switch {
	case c.closed:
		return ErrClosed
	case topic == "":
		return ErrNoTopic
	case int64(size) > c.maxBytes || size > adapters.MaxBatchData:
		return ErrTooLarge
	case c.q.messages >= c.maxMessages || c.q.bytes+int64(size) > c.maxBytes:
		return ErrFull
	}
	c.seq++
	c.q.add(c.seq, ts, topic, m.Key, m.Payload, size)
	c.stats.accepted++
	if c.idle {
		c.idle = false
		token(c.wake)
	}
	return nil
}

func (c *Connection) dropLocked(reason error) {
	c.stats.dropped++
	c.notify.dropped(reason)
}

// PublishWait is Publish with back-pressure: while the server is connected, or the first attempt to connect
// is under way, and the queue is full, it waits for room, for at most patience (0 means for ever), or until
// cancel is closed, which gives ErrCanceled; such a message counts nowhere. When the connection is down it
// does not wait.
func (c *Connection) PublishWait(m Message, patience time.Duration, cancel <-chan struct{}) error {
	ts := m.TimestampMS
	if ts == 0 {
		ts = time.Now().UnixMilli()
	}
	topic := m.Topic
	if topic == "" {
		topic = c.DefaultTopic()
	}
	var timeout <-chan time.Time
	for {
		c.mu.Lock()
		err := c.putLocked(&m, topic, ts)
		if err == nil {
			c.mu.Unlock()
			return nil
		}
		if !errors.Is(err, ErrFull) || c.awayLocked() {
			c.dropLocked(err)
			c.mu.Unlock()
			return err
		}
		c.waiters++
		changed := c.changed
		c.mu.Unlock()
		if timeout == nil && patience > 0 {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			timeout = timer.C
		}
		var failure error
		select {
		case <-changed:
		case <-timeout:
			failure = ErrFull
		case <-cancel:
			failure = ErrCanceled
		}
		c.mu.Lock()
		c.waiters--
		if failure != nil {
			if failure != ErrCanceled { // the caller may come again
				c.dropLocked(failure)
			}
			c.mu.Unlock()
			return failure
		}
		c.mu.Unlock()
	}
}

// signalLocked wakes whoever waits for a change of the queue or of the state.
func (c *Connection) signalLocked() {
	if c.waiters > 0 {
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// token puts the one token into ch.
func token(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
