// SPDX-License-Identifier: LGPL-2.1-or-later

// Package engine is the MQTT client (OASIS MQTT 3.1.1 and 5.0) under the adapters mqtt and azure: one queue,
// one goroutine that writes and one that reads.
//
// Why it is not one of Eclipse's clients: paho.golang tells of a message only to a goroutine that waits for
// it, so that order or speed is lost, and paho.mqtt.golang speaks 3.1.1 alone; both cost several times as
// much. They serve as the counterparts of our tests.
package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Defaults of Options.
const (
	DefaultMaxMessages = 10_000
	DefaultMaxInflight = 1_000
	// In 3.1.1 a server cannot tell how much of QoS 2 it takes at once; Mosquitto hangs up at the 21st.
	DefaultMaxInflight2  = 20
	DefaultKeepAlive     = 60 * time.Second
	DefaultRetryInterval = 500 * time.Millisecond
	DefaultMaxRetry      = 30 * time.Second
)

const (
	maxQueueBytes = 64 << 20 // of what was taken; one message may be larger
	maxReplies    = 1_000    // answers of Reply that wait for the server
	maxHeader     = 48_000   // bytes of a header's value that fit a user property in any case
)

// wrapRoom is how many bytes Wrap may add, so that a chunk has room for them. One that adds more costs a copy.
const wrapRoom = 256

// An Outgoing is what PublishTopic sees of a message.
type Outgoing struct {
	Topic           []byte
	Headers         adapters.Headers
	Session, Number uint64
}

// A Sender publishes a message beside the queue's own; it copies payload and does not wait.
type Sender func(topic string, payload []byte) error

// Options of a connection. Fields without a comment are what they are in MQTT.
type Options struct {
	Facility string // for log lines
	Info     adapters.Info
	// Dial makes the transport; what it returns ends with ctx.
	Dial        func(ctx context.Context) (net.Conn, error)
	Version     Version
	ClientID    string
	Credentials func(context.Context) (Credentials, error) // called for each connection; nil: none
	// CleanStart begins without what the server may know of the client identifier; later connections of
	// this Conn go on with the session where the version allows it.
	CleanStart bool
	// Durable: a subscription that ends without another one stays with the session that the server keeps.
	Durable       bool
	SessionExpiry time.Duration // MQTT 5: how long the server keeps the session without us
	KeepAlive     time.Duration // 0: off
	Will          *Will
	QoS           byte
	Retain        bool
	SubscribeQoS  byte
	Properties    []byte // of every message (MQTT 5), made by AppendProperties
	MaxInflight   int    // 0: DefaultMaxInflight, or DefaultMaxInflight2 with QoS 2 over 3.1.1
	MaxMessages   int
	MaxPayload    int // larger ones are refused; 0: what the server says
	Group         string
	RetryInterval time.Duration
	MaxRetry      time.Duration
	Mask          func(string) string // hides secrets

	// What follows is for services that speak MQTT in a way of their own.
	CheckTopic   func(topic string) error                                    // nil: CheckTopic
	PublishTopic func(dst []byte, m Outgoing) []byte                         // appends the topic on the wire; nil: the same
	Wrap         func(dst []byte, m *adapters.Message) []byte                // appends the payload on the wire, at most wrapRoom longer; nil: the same
	Filter       func(topic, group string) (string, error)                   // the filter on the wire of a topic to subscribe to
	Match        func(topic, of string) bool                                 // whether a message's topic belongs to one that was subscribed to; nil: Match
	Incoming     func(m *adapters.Incoming, send Sender) bool                // rewrites a message; false: not for the user. send is for after the call
	Granted      func(topic string, send Sender)                             // the server has agreed to a topic
	Explain      func(code byte) string                                      // words a refusal of CONNECT; "": as MQTT has it
	Refused      func(topic string, size, limit int) *adapters.DeliveryError // words a message that is larger than MaxPayload
	LostHint     string                                                      // why the server may have closed the connection without a reason
}

// A Conn is an adapters.Consumer.
type Conn struct {
	o      Options
	sink   adapters.Sink
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{} // one token: the writer has something to do
	failed error         // under mu: nothing works any more

	fixedProps, propBuf, topicBuf []byte // the buffers are under mu

	mu       sync.Mutex
	cond     *sync.Cond // room in the window, a delivery that ended, the end of a session
	q        queue
	undone   int // taken from the user and without a Result
	replies  int
	noRetain bool // the server keeps none
	flushed  chan struct{}
	closing  bool
	s        *session // nil when not connected
	control  []byte   // small packets that wait for the writer

	sub        adapters.SubscribeConfig
	filters    []string // of sub.Topics on the wire
	receiver   adapters.Receiver
	granted    map[string]bool // filters that the server has agreed to
	requests   map[uint16][]request
	parked     []string            // filters of a subscription that has ended and stays with the session
	dropped    []string            // filters that the server may know and that are not wanted any more
	leaving    map[uint16][]string // of these, what UNSUBSCRIBE names that have no answer
	lastID     uint16
	rx         arrivals
	held       []adapters.Incoming // to be handed out
	notes      []note              // for Receiver.Subscribed
	delivering bool
	ignored    bool // messages came that nobody wanted yet
	logs       []adapters.LogEntry
}

type request struct{ topic, filter string }

type note struct {
	topic string
	err   error
}

// Open starts to connect in the background.
func Open(o Options, sink adapters.Sink) *Conn {
	if o.MaxMessages == 0 {
		o.MaxMessages = DefaultMaxMessages
	}
	o.MaxMessages = min(o.MaxMessages, maxSent)
	if o.RetryInterval == 0 {
		o.RetryInterval = DefaultRetryInterval
	}
	if o.MaxRetry == 0 {
		o.MaxRetry = max(DefaultMaxRetry, o.RetryInterval)
	}
	if o.CheckTopic == nil {
		o.CheckTopic = CheckTopic
	}
	if o.Mask == nil {
		o.Mask = func(s string) string { return s }
	}
	if o.Filter == nil {
		o.Filter = shareFilter
	}
	if o.Match == nil {
		o.Match = Match
	}
	c := &Conn{o: o, sink: sink, wake: make(chan struct{}, 1), fixedProps: o.Properties, granted: map[string]bool{},
		requests: map[uint16][]request{}, leaving: map[uint16][]string{}, rx: newArrivals(), lastID: publishIDs}
	c.cond = sync.NewCond(&c.mu)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.sink.State(adapters.StateEvent{State: adapters.Connecting, Host: o.Info.Host, Time: time.Now()})
	safe.Go(&c.wg, o.Facility+" connection to "+o.Info.Host, c.panicked, c.run)
	return c
}

// panicked is told of a panic in one of our goroutines.
func (c *Conn) panicked(e *safe.PanicError) {
	c.mu.Lock()
	c.failed = fmt.Errorf("internal error: %w", e)
	if c.s != nil {
		_ = c.s.nc.Close()
	}
	c.cond.Broadcast()
	c.mu.Unlock()
	c.cancel()
	c.log(adapters.LogError, "%v\n%s", e, e.Stack)
	c.sink.State(adapters.StateEvent{State: adapters.Failed, Host: c.o.Info.Host, Reason: "internal error: " + e.Error(), Time: time.Now()})
}

// logLater is log for those who hold the lock.
func (c *Conn) logLater(level adapters.LogLevel, format string, args ...any) {
	c.logs = append(c.logs, adapters.LogEntry{Level: level, Facility: c.o.Facility, Text: c.o.Mask(fmt.Sprintf(format, args...))})
}

func (c *Conn) log(level adapters.LogLevel, format string, args ...any) {
	c.sink.Log(adapters.LogEntry{Level: level, Facility: c.o.Facility, Text: c.o.Mask(fmt.Sprintf(format, args...))})
}

// Info is what the configuration says.
func (c *Conn) Info() adapters.Info { return c.o.Info }

func (c *Conn) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Publish copies messages into the queue.
func (c *Conn) Publish(b *adapters.Batch, from int) (int, error) {
	var refused []adapters.Result
	c.mu.Lock()
	if c.failed != nil {
		defer c.mu.Unlock()
		return 0, c.failed
	}
	size, end := 0, from
	for ; end < b.Len() && c.q.n+end-from < c.o.MaxMessages; end++ {
		r := &b.Records[end]
		add := int(r.TopicLen + r.HeadersLen + r.PayloadLen)
		if c.o.Wrap != nil {
			add += wrapRoom
		}
		if have := c.q.bytes + int64(size); have > 0 && have+int64(add) > maxQueueBytes {
			break
		}
		size += add
	}
	if end > from {
		ch := c.q.newChunk(size)
		checked := ""
		var bad error
		for i := from; i < end; i++ {
			m := b.At(i)
			if i == from || string(m.Topic) != checked {
				checked = string(m.Topic)
				bad = c.o.CheckTopic(checked)
			}
			if err := c.refuse(&m, bad); err != nil {
				refused = append(refused, adapters.Result{Seq: m.Seq, Err: err})
				continue
			}
			at := len(ch.buf)
			ch.buf = append(append(ch.buf, m.Topic...), m.Headers...)
			if c.o.Wrap != nil {
				ch.buf = c.o.Wrap(ch.buf, &m)
			} else {
				ch.buf = append(ch.buf, m.Payload...)
			}
			c.q.push(entry{seq: m.Seq, session: m.Session, number: m.Number, data: ch.buf[at:len(ch.buf):len(ch.buf)], chunk: ch,
				topicLen: uint16(len(m.Topic)), headersLen: uint32(len(m.Headers))})
			c.undone++
		}
	}
	c.mu.Unlock()
	if len(refused) > 0 {
		c.sink.Done(refused)
	}
	if end-from > len(refused) {
		c.wakeWriter()
	}
	return end - from, nil
}

// refuse finds what is wrong with a message whatever the server says.
func (c *Conn) refuse(m *adapters.Message, badTopic error) error {
	if badTopic != nil {
		return &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: printable(string(m.Topic)), Host: c.o.Info.Host,
			Cause: badTopic.Error(), Remedy: "publish to a whole topic, as in building/camera1/events"}
	}
	size, limit := len(m.Payload), c.o.MaxPayload
	if limit > 0 && size+len(m.Headers) > limit {
		if c.o.Refused != nil {
			return c.o.Refused(string(m.Topic), size+len(m.Headers), limit)
		}
		return tooLarge(c.o.Info.Host, string(m.Topic), size, limit)
	}
	if len(m.Headers) <= maxHeader {
		return nil
	}
	var err error
	m.Headers.Each(func(name, value []byte) bool {
		if len(name)+len(Base64Suffix) > maxString || len(value) > maxHeader {
			err = &adapters.DeliveryError{Kind: adapters.ErrTooLarge, Topic: string(m.Topic), Host: c.o.Info.Host,
				Cause:  fmt.Sprintf("a header of %d bytes does not fit a user property of MQTT", len(name)+len(value)),
				Remedy: fmt.Sprintf("keep the values of headers within %d bytes", maxHeader)}
		}
		return err == nil
	})
	return err
}

func tooLarge(host, topic string, size, limit int) *adapters.DeliveryError {
	return &adapters.DeliveryError{Kind: adapters.ErrTooLarge, Topic: topic, Host: host,
		Cause:  fmt.Sprintf("the message of %d bytes is larger than the %d bytes that the server takes", size, limit),
		Remedy: "raise the server's limit (mosquitto: max_packet_size), or send less"}
}

// done reports results and wakes Flush.
func (c *Conn) done(results []adapters.Result) {
	if len(results) == 0 {
		return
	}
	c.sink.Done(results)
	c.mu.Lock()
	c.undone -= len(results)
	if c.undone == 0 && c.flushed != nil {
		close(c.flushed)
		c.flushed = nil
	}
	c.mu.Unlock()
}

// Flush waits until every message has its Result.
func (c *Conn) Flush(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.failed != nil || c.undone == 0 {
			defer c.mu.Unlock()
			return c.failed
		}
		if c.flushed == nil {
			c.flushed = make(chan struct{})
		}
		flushed := c.flushed
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ctx.Done():
			return errors.New("the connection is closed")
		case <-flushed:
		}
	}
}

// Close says goodbye, with the last acknowledgements, and ends everything.
func (c *Conn) Close() error {
	c.mu.Lock()
	if !c.closing {
		c.closing = true
		if c.s != nil {
			c.s.goodbye()
		} else {
			c.cancel()
		}
		c.cond.Broadcast()
	}
	c.mu.Unlock()
	c.wakeWriter()
	c.wg.Wait()
	c.cancel()
	return nil
}
