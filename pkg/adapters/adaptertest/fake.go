// SPDX-License-Identifier: LGPL-2.1-or-later

// Package adaptertest holds an adapter in memory whose faults can be commanded, and the tests that every
// adapter passes (Run).
package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A Received is a message that a server has taken.
type Received struct {
	Topic        string
	Key, Payload []byte
	TimestampMS  int64
	Session      uint64 // as the headers say; 0 without
	Number       uint64
	Headers      adapters.Headers // the others
}

// A Fake is an adapter together with its server, both in memory. Its zero value is a server that is up.
// The exported fields are set before the first Open; the methods may be called at any time.
type Fake struct {
	Capacity    int    // messages that a Conn holds at most; 0 means 1000
	MaxPayload  int    // bytes; a larger payload is refused; 0 means no limit
	RejectTopic string // a topic that does not exist; "" means none

	mu       sync.Mutex
	down     bool
	stalled  bool
	received []Received
	opened   int
	open     map[*fakeConn]bool
	byTopic  map[string][]int // indices of received
	groups   map[string]map[string]*fakePlace
}

var errFakeFatal = errors.New("the fake producer failed for good")

// Name is "fake".
func (f *Fake) Name() string { return "fake" }

// Capabilities are all there are.
func (f *Fake) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Keys: true, Timestamps: true, Headers: true, Acknowledged: true, Binary: true, Subscribe: true, Retained: true}
}

// Down takes the server away, or brings it back.
func (f *Fake) Down(down bool) {
	f.change(func() {
		f.down = down
		for c := range f.open {
			c.giveBack()
		}
	})
}

// Stall makes the server take nothing and say nothing, or go on.
func (f *Fake) Stall(stalled bool) { f.change(func() { f.stalled = stalled }) }

// Break makes every Conn that is open fail for good; what it holds is lost to it.
func (f *Fake) Break() {
	f.change(func() {
		for c := range f.open {
			c.broken = true
			c.giveBack()
		}
	})
}

func (f *Fake) change(how func()) {
	f.mu.Lock()
	how()
	for c := range f.open {
		c.cond.Broadcast()
	}
	f.mu.Unlock()
}

// Received returns what the server has taken so far.
func (f *Fake) Received() []Received {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Received(nil), f.received...)
}

// Opened is how many Conns were opened so far.
func (f *Fake) Opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

type fakeConn struct {
	f       *Fake
	sink    adapters.Sink
	topic   string
	cond    *sync.Cond // on f.mu
	wg      sync.WaitGroup
	pending []adapters.Message
	closed  bool
	broken  bool
	flight  int  // taken and not answered
	telling bool // inside Sink.Done

	sub       *fakeSubscription
	life      int  // counts the connections to the server, as far as subscriptions are concerned
	receiving bool // the goroutine of the deliveries was started
	handing   bool // a receiver is being called
}

// SplitConnStr parts server and topic.
func (f *Fake) SplitConnStr(connStr string) (server, topic string, err error) {
	parts := strings.Split(connStr, ";")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return "", "", fmt.Errorf("conn-str %q: write host;port or host;port;topic", connStr)
	}
	if len(parts) == 3 {
		topic = parts[2]
	}
	return parts[0] + ";" + parts[1], topic, nil
}

// Open takes connection strings of the form host;port[;topic]. A configuration file is not read.
func (f *Fake) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	_, topic, err := f.SplitConnStr(cfg.ConnStr)
	if err != nil {
		return nil, err
	}
	c := &fakeConn{f: f, sink: sink, topic: topic, cond: sync.NewCond(&f.mu)}
	f.mu.Lock()
	if f.open == nil {
		f.open = map[*fakeConn]bool{}
	}
	f.open[c] = true
	f.opened++
	f.mu.Unlock()
	sink.State(adapters.StateEvent{State: adapters.Connecting, Host: "fake", Time: time.Now()})
	safe.Go(&c.wg, "fake server", nil, c.run)
	return c, nil
}

func (c *fakeConn) Info() adapters.Info { return adapters.Info{Host: "fake", Topic: c.topic} }

func (c *fakeConn) Publish(b *adapters.Batch, from int) (int, error) {
	capacity := c.f.Capacity
	if capacity == 0 {
		capacity = 1000
	}
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.broken {
		return 0, errFakeFatal
	}
	n := 0
	for i := from; i < b.Len() && c.flight < capacity; i++ {
		m := b.At(i)
		m.Topic, m.Key, m.Payload = bytes.Clone(m.Topic), bytes.Clone(m.Key), bytes.Clone(m.Payload)
		m.Headers = bytes.Clone(m.Headers)
		c.pending = append(c.pending, m)
		c.flight++
		n++
	}
	c.cond.Broadcast()
	return n, nil
}

// run is the server's side of the connection.
func (c *fakeConn) run() {
	state := adapters.Connecting
	tell := func(s adapters.State, reason string) {
		if s != state {
			state = s
			c.f.mu.Unlock()
			c.sink.State(adapters.StateEvent{State: s, Host: "fake", Reason: reason, Time: time.Now()})
			c.f.mu.Lock()
		}
	}
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	for !c.closed {
		switch {
		case c.broken:
			tell(adapters.Failed, errFakeFatal.Error())
		case c.f.down:
			tell(adapters.Disconnected, "the fake server is down; bring it up")
		case !c.f.stalled:
			tell(adapters.Connected, "")
			if len(c.pending) > 0 && !c.f.down && !c.f.stalled && !c.broken {
				results := c.answer(c.pending)
				c.pending = nil
				c.flight -= len(results) // first, so that Done finds room
				c.telling = true
				c.f.mu.Unlock()
				c.sink.Done(results)
				c.f.mu.Lock()
				c.telling = false
				continue
			}
		}
		if c.settled(state) {
			c.cond.Wait()
		}
	}
}

// settled reports that run has nothing to do.
func (c *fakeConn) settled(told adapters.State) bool {
	if c.closed {
		return false
	}
	want := adapters.Connected
	switch {
	case c.broken:
		want = adapters.Failed
	case c.f.down:
		want = adapters.Disconnected
	case c.f.stalled:
		return true
	}
	return told == want && (want != adapters.Connected || len(c.pending) == 0)
}

// answer lets the server decide about messages.
func (c *fakeConn) answer(messages []adapters.Message) []adapters.Result {
	results := make([]adapters.Result, 0, len(messages))
	for _, m := range messages {
		r := adapters.Result{Seq: m.Seq}
		switch topic := string(m.Topic); {
		case c.f.RejectTopic != "" && topic == c.f.RejectTopic:
			r.Err = &adapters.DeliveryError{Kind: adapters.ErrUnknownTopic, Topic: topic, Host: "fake",
				Cause: "the topic does not exist", Remedy: "create it"}
		case c.f.MaxPayload > 0 && len(m.Payload) > c.f.MaxPayload:
			r.Err = &adapters.DeliveryError{Kind: adapters.ErrTooLarge, Topic: topic, Host: "fake",
				Cause: "the message is too large", Remedy: "send less"}
		default:
			c.f.keep(Received{topic, m.Key, m.Payload, m.TimestampMS, m.Session, m.Number, m.Headers})
		}
		results = append(results, r)
	}
	return results
}

func (c *fakeConn) Flush(ctx context.Context) error {
	for {
		c.f.mu.Lock()
		idle, broken := c.flight == 0 && !c.telling, c.broken
		c.f.mu.Unlock()
		if idle {
			return nil
		}
		if broken {
			return errFakeFatal
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *fakeConn) Close() error {
	c.f.mu.Lock()
	c.closed = true
	c.giveBack()
	delete(c.f.open, c)
	c.cond.Broadcast()
	c.f.mu.Unlock()
	c.wg.Wait()
	return nil
}
