// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A receiver is the receiving half of a link: it makes one subscription of the adapter for all who take,
// again in each session, and hands each of them what its topics match.
//
// A life is one subscription as the adapter sees it. Acknowledgements of an earlier life mean nothing to it,
// and what had none comes again.
type receiver struct {
	l *link

	// call is held around Subscribe of the adapter, and while a session begins or ends. It is above link.mu.
	// The adapter's calls of a Receiver never take it.
	call sync.Mutex
	conn adapters.Consumer // of the current session; nil between two
	made adapters.SubscribeConfig
	// stale: the adapter's subscription is to be made anew, or ended, also if it is the one that is wanted.
	stale bool
	// retry is the clock of a subscription that the adapter could not make in this session; refusals counts
	// how often in a row.
	retry    *time.Timer
	refusals int

	mu     sync.Mutex // below link.mu
	life   uint64
	acks   adapters.Consumer // where acknowledgements of this life go
	takers []*Subscription
	words  map[string]error // the server's word on the topics in this life
	// leaving: a taker was taken off, and the adapter may still bring what was for it.
	leaving bool
	strays  map[string]bool // topics whose messages nobody wanted, as far as they were told

	received, bytes, redelivered uint64
	unacknowledged               int
}

// A claim is a message of which takers have not acknowledged all copies. It stands in for the Token of the
// adapter.
type claim struct {
	life  uint64
	left  int  // takers, guarded by receiver.mu as is the next
	acked bool // by one of them
	m     adapters.Incoming
}

// begin gives a new session its subscription.
func (rx *receiver) begin(conn adapters.Conn) {
	c, ok := conn.(adapters.Consumer)
	if !ok {
		return
	}
	rx.call.Lock()
	defer rx.call.Unlock()
	rx.conn, rx.made, rx.stale = c, adapters.SubscribeConfig{}, false
	rx.again()
}

// again is apply for what was taken before, with call held. A refusal has a reason that may pass, such as a
// certificate that is just being replaced: it is tried again for as long as the session lasts.
func (rx *receiver) again() {
	rx.calm()
	err := rx.apply()
	if err == nil {
		rx.refusals = 0
		return
	}
	rx.stale = true
	rx.refusals++
	rx.l.mu.Lock()
	rx.l.lastErrorLocked(err.Error())
	rx.l.logLocked(adapters.LogEntry{Level: adapters.LogError, Facility: "broker", Text: "subscribing again: " + err.Error()})
	rx.l.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(rx.l.opts.Reconnect.pause(rx.refusals), func() {
		defer safe.Recover("subscribing again", rx.l.panicked)
		rx.call.Lock()
		defer rx.call.Unlock()
		if rx.retry == timer {
			rx.again()
		}
	})
	rx.retry = timer
}

// calm stops the clock, with call held.
func (rx *receiver) calm() {
	if rx.retry != nil {
		rx.retry.Stop()
		rx.retry = nil
	}
}

// end is told before a session is closed.
func (rx *receiver) end() {
	rx.call.Lock()
	defer rx.call.Unlock()
	rx.calm()
	rx.conn = nil
	rx.newLife(nil)
}

// newLife forgets what the adapter will bring again.
func (rx *receiver) newLife(acks adapters.Consumer) *lifeReceiver {
	rx.mu.Lock()
	defer rx.mu.Unlock()
	rx.life++
	rx.acks = acks
	rx.unacknowledged = 0
	rx.words = map[string]error{}
	for _, s := range rx.takers {
		clear(s.out)
		// Without a token there was nothing to acknowledge, so it does not come again.
		s.queue = slices.DeleteFunc(s.queue, func(m adapters.Incoming) bool { return m.Token.(*claim).m.Token != nil })
	}
	return &lifeReceiver{rx, rx.life}
}

// wanted is the subscription that serves all takers.
func (rx *receiver) wanted() adapters.SubscribeConfig {
	rx.mu.Lock()
	defer rx.mu.Unlock()
	var cfg adapters.SubscribeConfig
	for _, s := range rx.takers {
		for _, topic := range s.opts.Topics {
			if !slices.Contains(cfg.Topics, topic) {
				cfg.Topics = append(cfg.Topics, topic)
			}
		}
		if cfg.Window == 0 || s.opts.Window < cfg.Window {
			cfg.Window = s.opts.Window
		}
		cfg.Group = s.opts.Group
		cfg.FromStart = cfg.FromStart || s.opts.FromStart
	}
	slices.Sort(cfg.Topics)
	return cfg
}

// apply makes the adapter's subscription the one that is wanted, with call held.
func (rx *receiver) apply() error {
	cfg := rx.wanted()
	if rx.conn == nil || (!rx.stale && slices.Equal(cfg.Topics, rx.made.Topics) && cfg.Window == rx.made.Window &&
		cfg.Group == rx.made.Group && cfg.FromStart == rx.made.FromStart) {
		return nil
	}
	rx.made, rx.stale = cfg, false
	r := rx.newLife(rx.conn)
	if len(cfg.Topics) == 0 {
		return rx.conn.Subscribe(adapters.SubscribeConfig{}, nil)
	}
	return rx.conn.Subscribe(cfg, r)
}

// join adds a taker.
func (rx *receiver) join(s *Subscription) error {
	rx.call.Lock()
	defer rx.call.Unlock()
	if s.c.isClosed() {
		return ErrClosed
	}
	rx.mu.Lock()
	if len(rx.takers) > 0 && rx.takers[0].opts.Group != s.opts.Group {
		group := rx.takers[0].opts.Group
		rx.mu.Unlock()
		return fmt.Errorf("the connection has a subscription of group %q, and one of group %q is wanted; name one group for both, "+
			"or use a connection of its own (share-connection=0)", group, s.opts.Group)
	}
	rx.takers = append(slices.Clone(rx.takers), s)
	rx.mu.Unlock()
	if err := rx.apply(); err != nil {
		rx.remove(s)
		rx.again() // as it was before
		rx.stay()
		return err
	}
	rx.mu.Lock()
	for _, topic := range s.opts.Topics { // what the server has said to others before
		if err, known := rx.words[topic]; known {
			rx.tell(s, topic, err)
		}
	}
	rx.mu.Unlock()
	return nil
}

func (rx *receiver) remove(s *Subscription) {
	rx.mu.Lock()
	defer rx.mu.Unlock()
	rx.leaving = true
	rx.takers = slices.DeleteFunc(slices.Clone(rx.takers), func(x *Subscription) bool { return x == s })
	s.queue = nil
}

// leave takes a taker off.
func (rx *receiver) leave(s *Subscription) {
	rx.call.Lock()
	defer rx.call.Unlock()
	select {
	case <-s.done:
		return
	default:
		close(s.done)
	}
	rx.remove(s)
	rx.mu.Lock()
	var finished []adapters.Incoming
	alone := false // something was its own, and must be free for others in the group
	for c := range s.out {
		delete(s.out, c)
		shared := rx.sharedLocked(c)
		switch {
		case c.life != rx.life:
		case shared:
			if c.left--; c.left == 0 {
				rx.unacknowledged--
				finished = append(finished, c.m)
			}
		default:
			alone = true
		}
	}
	acks := rx.acks
	rx.mu.Unlock()
	if acks != nil && len(finished) > 0 {
		acks.Ack(finished)
	}
	rx.stale = rx.stale || alone
	rx.again()
	rx.stay()
}

// stay ends the time that remove has begun.
func (rx *receiver) stay() {
	rx.mu.Lock()
	rx.leaving = false
	rx.mu.Unlock()
}

// sharedLocked reports whether others have the message of c, or had it. One that came later has not.
func (rx *receiver) sharedLocked(c *claim) bool {
	return c.acked || slices.ContainsFunc(rx.takers, func(s *Subscription) bool { _, has := s.out[c]; return has })
}

// closeAll ends the subscriptions of a connection.
func (rx *receiver) closeAll(c *Connection) {
	rx.call.Lock() // one that is about to join
	rx.mu.Lock()
	takers := rx.takers // never changed in place
	rx.mu.Unlock()
	rx.call.Unlock()
	for _, s := range takers {
		if s.c == c {
			rx.leave(s)
		}
	}
}

func (rx *receiver) matches(s *Subscription, topic string) bool {
	m, patterns := rx.l.adapter.(adapters.Matcher)
	return slices.ContainsFunc(s.opts.Topics, func(p string) bool { return p == topic || (patterns && m.Match(p, topic)) })
}

// ack notes the word of one taker, and passes it on when it was the last.
func (rx *receiver) ack(s *Subscription, c *claim) {
	rx.mu.Lock()
	_, mine := s.out[c]
	delete(s.out, c)
	if !mine || c.life != rx.life {
		rx.mu.Unlock()
		return
	}
	c.left--
	c.acked = true
	last, acks := c.left == 0, rx.acks
	if last {
		rx.unacknowledged--
	}
	rx.mu.Unlock()
	if last && acks != nil {
		acks.Ack([]adapters.Incoming{c.m})
	}
}

// tell calls OnSubscribed, once for each word.
func (rx *receiver) tell(s *Subscription, topic string, err error) {
	if s.opts.OnSubscribed == nil {
		return
	}
	if w, told := s.words[topic]; told && w.life == rx.life && (w.err == nil) == (err == nil) {
		return
	}
	s.words[topic] = subscriptionWord{rx.life, err}
	s.c.notify.later(func() { s.opts.OnSubscribed(topic, err) })
}

// A lifeReceiver is what the adapter calls during one life.
type lifeReceiver struct {
	rx   *receiver
	life uint64
}

// Receive queues the messages for those who take them.
func (r *lifeReceiver) Receive(messages []adapters.Incoming) {
	rx := r.rx
	var nobodys []adapters.Incoming
	var told []string
	rx.mu.Lock()
	if r.life != rx.life {
		rx.mu.Unlock()
		return
	}
	for i := range messages {
		m := messages[i]
		rx.received++
		rx.bytes += uint64(len(m.Payload))
		if m.Redelivered {
			rx.redelivered++
		}
		c := &claim{life: r.life, m: m}
		m.Token = c
		for _, s := range rx.takers {
			// A single one takes all: an adapter may know more about topics than Match.
			if len(rx.takers) == 1 || rx.matches(s, m.Topic) {
				c.left++
				s.out[c] = struct{}{}
				s.queue = append(s.queue, m)
				token(s.wake)
			}
		}
		switch {
		case c.left > 0:
			rx.unacknowledged++
		case !rx.leaving && len(rx.takers) > 0: // else it comes again to the next
			nobodys = append(nobodys, c.m)
			if !rx.strays[m.Topic] && len(rx.strays) < maxStrays {
				if rx.strays == nil {
					rx.strays = map[string]bool{}
				}
				rx.strays[m.Topic] = true
				told = append(told, m.Topic)
			}
		}
	}
	last := len(rx.strays) == maxStrays
	acks := rx.acks
	rx.mu.Unlock()
	rx.tellStrays(told, last)
	if len(nobodys) > 0 && acks != nil {
		acks.Ack(nobodys)
	}
}

// maxStrays is of how many topics the log says that nobody wants their messages, longestTold how much of their names.
const maxStrays, longestTold = 32, 200

// tellStrays says that messages were acknowledged which nobody has seen: the protocol brought what no subscription
// matches, such as a queue with a binding that an earlier run has left.
func (rx *receiver) tellStrays(topics []string, last bool) {
	if len(topics) == 0 {
		return
	}
	rx.l.mu.Lock()
	defer rx.l.mu.Unlock()
	for i, topic := range topics {
		if len(topic) > longestTold {
			topic = topic[:longestTold] + "…"
		}
		text := fmt.Sprintf("messages of topic %q are acknowledged and dropped: no subscription of this connection wants them; "+
			"end what brings them, or subscribe to the topic", topic)
		if last && i == len(topics)-1 {
			text += ". Of further topics nothing is said"
		}
		rx.l.logLocked(adapters.LogEntry{Level: adapters.LogWarning, Facility: "broker", Text: text})
	}
}

// Subscribed passes the server's word on.
func (r *lifeReceiver) Subscribed(topic string, err error) {
	rx := r.rx
	if err != nil {
		rx.l.mu.Lock()
		rx.l.lastErrorLocked(err.Error())
		rx.l.mu.Unlock()
	}
	rx.mu.Lock()
	defer rx.mu.Unlock()
	if r.life != rx.life {
		return
	}
	rx.words[topic] = err
	for _, s := range rx.takers {
		if slices.Contains(s.opts.Topics, topic) {
			rx.tell(s, topic, err)
		}
	}
}
