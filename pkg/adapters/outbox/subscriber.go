// SPDX-License-Identifier: LGPL-2.1-or-later

package outbox

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A Subscription is what Subscribe was told.
type Subscription struct {
	adapters.SubscribeConfig
	receiver adapters.Receiver
}

// A Subscriber is the receiving half of a Conn: it keeps a connection for the subscription that is wanted, and makes
// another one when it is lost or something else is wanted.
type Subscriber struct {
	c       *Conn
	serve   func(*Subscription) error
	reason  func(error) string
	backoff *Backoff
	changed chan struct{}
	closed  atomic.Bool

	mu      sync.Mutex
	started bool
	wanted  *Subscription // nil: nothing

	telling sync.Mutex // held while the receiver of current is called
	current *Subscription
}

// Prepare makes s ready. serve is one connection, until it is lost, or until it is not wanted any more, when it
// returns nil; with nil it receives nothing, and shows that the server is there. reason words its errors.
func (s *Subscriber) Prepare(c *Conn, serve func(*Subscription) error, reason func(error) string) {
	s.c, s.serve, s.reason = c, serve, reason
	s.backoff, s.changed = NewBackoff(c.Cfg), make(chan struct{}, 1)
}

func (s *Subscriber) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.closed.Load() {
		return
	}
	s.started = true
	s.c.Parts.Set(Receiving, adapters.Connecting, "", 0, 0)
	s.c.Go("receiving from "+s.c.where, s.run)
}

func (s *Subscriber) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed.Store(true)
	s.receive(nil)
}

// receive makes sub the one whose receiver is called. Whoever is being called returns first.
func (s *Subscriber) receive(sub *Subscription) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.current = sub
}

// Open is nil as long as there can be subscriptions.
func (s *Subscriber) Open() error {
	if err := s.c.Parts.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return errors.New("the connection is closed")
	}
	return nil
}

// Want replaces what is received; without topics it is nothing.
func (s *Subscriber) Want(cfg adapters.SubscribeConfig, r adapters.Receiver) {
	if cfg.Window <= 0 {
		cfg.Window = adapters.DefaultWindow
	}
	var sub *Subscription
	if len(cfg.Topics) > 0 {
		sub = &Subscription{cfg, r}
	}
	s.mu.Lock()
	s.wanted = sub
	s.receive(sub) // together: of two at once one must win both
	s.mu.Unlock()
	if sub != nil {
		s.start()
	}
	Token(s.changed)
}

// Changed has a token when something else may be wanted.
func (s *Subscriber) Changed() <-chan struct{} { return s.changed }

// Wants says whether it is sub that is wanted.
func (s *Subscriber) Wants(sub *Subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted == sub
}

// Connected tells that serve has its connection.
func (s *Subscriber) Connected() {
	s.backoff.Reset()
	s.c.Parts.Set(Receiving, adapters.Connected, "", 0, 0)
}

// Tell calls the receiver of sub, if it is still the one.
func (s *Subscriber) Tell(sub *Subscription, f func(adapters.Receiver)) {
	s.telling.Lock()
	defer s.telling.Unlock()
	if s.current == sub && !s.closed.Load() {
		f(sub.receiver)
	}
}

func (s *Subscriber) run() {
	for {
		s.mu.Lock()
		sub := s.wanted
		s.mu.Unlock()
		if sub == nil && !s.c.Cfg.ReceiveOnly {
			s.c.Parts.Forget(Receiving)
			select {
			case <-s.c.Stop:
				return
			case <-s.changed:
			}
			continue
		}
		err := s.serve(sub)
		select {
		case <-s.c.Stop:
			return
		default:
		}
		if err == nil {
			continue // something else is wanted
		}
		attempt, pause := s.backoff.Next()
		s.c.Parts.Set(Receiving, adapters.Disconnected, s.reason(err), attempt, pause)
		if !Sleep(pause, s.c.Stop) {
			return
		}
	}
}
