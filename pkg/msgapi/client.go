// SPDX-License-Identifier: LGPL-2.1-or-later

// Package msgapi is the logic behind the C interfaces that this project offers: DeepStream's nvds_msgapi_*
// functions (capi/nvds_msgapi.h) and nv_msgbroker_* (capi/nvmsgbroker.h). Package core gives it its C face.
//
// A Client is a connection of package broker with a memory of whom to tell of each message. The C functions
// to call, and what to call them with, are plain numbers here.
package msgapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// The times that the C interfaces take at most.
const (
	ConnectTimeout = 5 * time.Second   // until the server answers, as in DeepStream's Kafka adaptor
	SendTimeout    = 300 * time.Second // of a synchronous send; librdkafka's default for a message
	FlushTimeout   = 10 * time.Second  // of a disconnect while the server is there
)

// atTheEnd is the protocol whose groups begin with the next message when they are new to the server, as in DeepStream's
// adaptors; all others begin with the oldest one that the server keeps.
const atTheEnd = "redis"

// Errors of a Client.
var (
	ErrClosed  = errors.New("the handle is not that of a connection")
	ErrEmpty   = errors.New("the message has no payload")
	errTimeout = errors.New("the server did not acknowledge the message in time; it stays queued and may arrive yet")
)

// A Done says that a message has its answer.
type Done struct {
	Callback, User uintptr
	Err            error
}

// Unknown reports whether the server did not know the topic.
func (d *Done) Unknown() bool { return errors.Is(d.Err, adapters.ErrUnknownTopic) }

// Options describe a Client.
type Options struct {
	ProtoLib   string // a protocol or a library, as in msgbroker
	ConnStr    string
	ConfigPath string
	Reconnect  broker.Reconnect
	Timeout    time.Duration // of Connect; 0 means ConnectTimeout
	Log        func(adapters.LogEntry)
	// OnState is told what happens to the connection after Connect has returned.
	OnState func(broker.State, string)
	// Ready is called when Collect has something, by a goroutine of the adapter. nil: Collect is called
	// regularly all the same.
	Ready func()
}

// A Client is safe for use by many goroutines.
type Client struct {
	opts Options
	conn *broker.Connection

	mu      sync.Mutex
	waiting map[uint64]waiter
	done    []Done
	told    bool // Ready was called since the last Collect
	closed  bool
	up      chan struct{} // closed when connected for the first time
	failed  chan struct{} // closed when out of order
	was     bool
	last    string // why it is not connected
	subs    []*subscription
	wg      sync.WaitGroup
}

// A waiter is who asked for a message's answer: a C function, or a goroutine.
type waiter struct {
	callback, user uintptr
	answer         chan error
}

// Connect validates the configuration and waits until the server answers.
func Connect(o Options) (*Client, error) {
	c := &Client{opts: o, waiting: map[uint64]waiter{}, up: make(chan struct{}), failed: make(chan struct{})}
	var err error
	c.conn, err = broker.Connect(broker.Options{ProtoLib: o.ProtoLib, ConnStr: o.ConnStr, ConfigPath: o.ConfigPath,
		Reconnect: o.Reconnect, Log: o.Log, OnState: c.state, OnResults: c.results})
	if err != nil {
		return nil, err
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = ConnectTimeout
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-c.up:
		return c, nil
	case <-c.failed:
	case <-timer.C:
	}
	c.mu.Lock()
	reason := c.last
	c.closed = true
	c.mu.Unlock()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	c.conn.Close(ended)
	if reason == "" {
		reason = "no answer"
	}
	return nil, fmt.Errorf("no connection within %v: %s", timeout, reason)
}

// state follows the connection.
func (c *Client) state(s broker.StateChange) {
	c.mu.Lock()
	first := s.New == broker.StateConnected && !c.was
	switch {
	case first:
		c.was = true
		close(c.up)
	case s.New == broker.StateFailed:
		select {
		case <-c.failed:
		default:
			close(c.failed)
		}
	}
	if s.Reason != "" {
		c.last = s.Reason
	}
	tell := c.was && !first && !c.closed && s.Old != s.New && s.New != broker.StateClosed
	c.mu.Unlock()
	if tell && c.opts.OnState != nil {
		c.opts.OnState(s.New, s.Reason)
	}
}

// results is told of every answer, those to others on the same link included.
func (c *Client) results(results []adapters.Result) {
	c.mu.Lock()
	for _, r := range results {
		w, ours := c.waiting[r.Seq]
		if !ours {
			continue
		}
		delete(c.waiting, r.Seq)
		if w.answer != nil {
			w.answer <- r.Err // has room for the one
		} else if w.callback != 0 {
			c.done = append(c.done, Done{w.callback, w.user, r.Err})
		}
	}
	c.tellLocked()
	c.mu.Unlock()
}

// tellLocked calls Ready once for what waits to be collected. It only sets a flag over there.
func (c *Client) tellLocked() {
	if len(c.done) > 0 && !c.told && c.opts.Ready != nil {
		c.told = true
		c.opts.Ready()
	}
}

// publish hands a message to the connection. The lock keeps its answer until w is entered.
func (c *Client) publish(topic string, payload []byte, w waiter) error {
	if len(payload) == 0 {
		return ErrEmpty
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	seq, err := c.conn.PublishSeq(broker.Message{Topic: topic, Payload: payload})
	if err == nil {
		c.waiting[seq] = w
	}
	return err
}

// SendAsync copies the message and returns. Collect gives callback and user back when the server has
// answered.
func (c *Client) SendAsync(topic string, payload []byte, callback, user uintptr) error {
	return c.publish(topic, payload, waiter{callback: callback, user: user})
}

// Send waits for the server's answer.
func (c *Client) Send(topic string, payload []byte) error {
	answer := make(chan error, 1)
	if err := c.publish(topic, payload, waiter{answer: answer}); err != nil {
		return err
	}
	timer := time.NewTimer(SendTimeout)
	defer timer.Stop()
	select {
	case err := <-answer:
		return err
	case <-timer.C:
		return errTimeout
	}
}

// Collect takes up to limit answers that nobody has been told of.
func (c *Client) Collect(limit int) []Done {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(limit, len(c.done))
	out := c.done[:n:n]
	c.done = c.done[n:]
	c.told = false
	c.tellLocked()
	return out
}

// Close delivers what is queued, for at most FlushTimeout while the server is there, and ends the
// connection. What has no answer then is answered with an error: Collect still gives that.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.closed = true
	subs := c.subs
	c.subs = nil
	c.mu.Unlock()
	for _, s := range subs {
		s.sub.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), FlushTimeout)
	defer cancel()
	report := c.conn.Close(ctx)
	c.wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for seq, w := range c.waiting {
		delete(c.waiting, seq)
		if w.answer != nil {
			w.answer <- ErrClosed
		} else if w.callback != 0 {
			c.done = append(c.done, Done{w.callback, w.user, ErrClosed})
		}
	}
	c.tellLocked()
	if report.Remaining > 0 {
		return fmt.Errorf("%d messages were given up", report.Remaining)
	}
	return nil
}

// A subscription runs until its client closes.
type subscription struct{ sub *broker.Subscription }

// Subscribe calls handle with each message of the topics, from a goroutine of its own; the message is
// acknowledged to the server when handle has returned. refused is told of topics that the server refuses.
func (c *Client) Subscribe(topics []string, handle func(topic string, payload []byte), refused func(topic string, err error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	sub, err := c.conn.Subscribe(broker.SubscribeOptions{Topics: topics, FromStart: c.conn.Stats().Adapter != atTheEnd, OnSubscribed: func(topic string, err error) {
		if err != nil {
			refused(topic, err)
		}
	}})
	if err != nil {
		return err
	}
	c.subs = append(c.subs, &subscription{sub})
	safe.Go(&c.wg, "messages for a C application", nil, func() {
		for {
			m, err := sub.Next(context.Background())
			if err != nil {
				return
			}
			handle(m.Topic, m.Payload)
			sub.Ack(&m)
		}
	})
	return nil
}
