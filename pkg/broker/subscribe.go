// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Errors of Subscribe, Next and Publish.
var (
	ErrFailed      = errors.New("the connection has failed")
	ErrReceiveOnly = errors.New("the connection was opened to receive only")
)

// SubscribeOptions say what to receive.
type SubscribeOptions struct {
	Topics []string // in the protocol's own syntax, wildcards included; at least one
	// Group shares the messages among its consumers, and keeps the place reached; "" means the one of the
	// configuration, or the protocol's default.
	Group string
	// Window is how many messages may be without Ack, at most; 0 means adapters.DefaultWindow. When it is
	// reached, reading stops and nothing is lost. Of a shared connection the smallest holds.
	Window    int
	FromStart bool // a group that is new begins with the oldest message that the server keeps
	// OnSubscribed is called, as the callbacks of Options are, with the server's word on each topic: err
	// nil, or a *adapters.DeliveryError when it is refused for good. After a reconnection it may come again.
	OnSubscribed func(topic string, err error)
}

// A Subscription brings messages. Its methods are safe for use by many goroutines.
type Subscription struct {
	c    *Connection
	opts SubscribeOptions
	done chan struct{} // closed by Close
	wake chan struct{} // one token: there may be messages

	// Guarded by receiver.mu.
	queue []adapters.Incoming         // not asked for yet; Token is a *claim
	out   map[*claim]struct{}         // not acknowledged
	words map[string]subscriptionWord // told to OnSubscribed
}

// subscriptionWord is what was told about a topic, and by which subscription of the adapter.
type subscriptionWord struct {
	life uint64
	err  error
}

// Subscribe begins to receive. A server that is away is no error: the subscription is made when it is there,
// and again in each new session. Connections that share a link share one subscription of the adapter, to
// the topics of all of them, and so must name one group; a message is acknowledged to the server when all
// whose topics it matches have acknowledged it, and the slowest of them sets the pace.
func (c *Connection) Subscribe(o SubscribeOptions) (*Subscription, error) {
	l := c.l
	if !l.adapter.Capabilities().Subscribe {
		return nil, fmt.Errorf("protocol %s brings no messages: %w; choose another", l.adapter.Name(), adapters.ErrNotSupported)
	}
	if len(o.Topics) == 0 || slices.Contains(o.Topics, "") {
		return nil, errors.New("a subscription names no topic, or an empty one; name at least one topic")
	}
	if o.Window < 0 {
		return nil, fmt.Errorf("the window of a subscription (%d messages) is negative; set a positive one, or 0 for %d",
			o.Window, adapters.DefaultWindow)
	}
	if o.Window == 0 {
		o.Window = adapters.DefaultWindow
	}
	o.Topics = slices.Clone(o.Topics)
	s := &Subscription{c: c, opts: o, done: make(chan struct{}), wake: make(chan struct{}, 1), out: map[*claim]struct{}{},
		words: map[string]subscriptionWord{}}
	if err := l.rx.join(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Next waits for the next message, which is the caller's. It returns ErrClosed after Close, ErrFailed when
// the connection has failed and all that came before was taken, or the error of ctx.
func (s *Subscription) Next(ctx context.Context) (adapters.Incoming, error) {
	for {
		select {
		case <-s.done:
			return adapters.Incoming{}, ErrClosed
		default:
		}
		if m, ok := s.take(); ok {
			return m, nil
		}
		select {
		case <-s.done:
		case <-s.wake:
		case <-ctx.Done():
			return adapters.Incoming{}, ctx.Err()
		case <-s.c.l.givenUp:
			if m, ok := s.take(); ok {
				return m, nil
			}
			return adapters.Incoming{}, ErrFailed
		}
	}
}

func (s *Subscription) take() (adapters.Incoming, bool) {
	rx := &s.c.l.rx
	rx.mu.Lock()
	defer rx.mu.Unlock()
	if len(s.queue) == 0 {
		return adapters.Incoming{}, false
	}
	m := s.queue[0]
	s.queue[0] = adapters.Incoming{}
	s.queue = s.queue[1:]
	if len(s.queue) > 0 {
		token(s.wake) // for another goroutine in Next
	} else {
		s.queue = nil
	}
	return m, true
}

// Ack says that the message needs no further copy. Messages of an earlier session are ignored: the server
// sends them again. It never waits for the network.
func (s *Subscription) Ack(m *adapters.Incoming) {
	if c, ok := m.Token.(*claim); ok {
		s.c.l.rx.ack(s, c)
	}
}

// Close ends the subscription; what has no Ack is not acknowledged to the server, unless the connection is
// shared and others have taken it. It may be called from anywhere, and again.
func (s *Subscription) Close() { s.c.l.rx.leave(s) }
