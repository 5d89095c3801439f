// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	receiveAtOnce = 128
	maxWindow     = 65535            // of basic.qos
	refusedFor    = 30 * time.Second // a topic that was refused is tried again after so long
)

// A subscriber receives over a connection of its own.
type subscriber struct {
	outbox.Subscriber
	c     *conn
	retry time.Duration // after which refused topics are tried again

	// By serve alone.
	bound map[string]map[string]bool // queue → patterns that this conn has bound it to
	told  map[string]bool            // what was logged once
}

func (s *subscriber) prepare(c *conn) {
	s.c, s.retry, s.bound, s.told = c, refusedFor, map[string]map[string]bool{}, map[string]bool{}
	s.Prepare(&c.Conn, s.serve, c.set.reason)
}

// Subscribe replaces what is received.
func (c *conn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	s := &c.subscriber
	if err := s.Open(); err != nil {
		return err
	}
	for _, t := range cfg.Topics {
		if len(t) > maxShort {
			return fmt.Errorf("the topic %.40q… has %d bytes, and AMQP allows %d", t, len(t), maxShort)
		}
	}
	if cfg.Group == "" {
		cfg.Group = c.set.consumers
	}
	switch {
	case len(cfg.Group) > maxShort:
		return fmt.Errorf("the group's name has %d bytes, and that of a queue may have %d", len(cfg.Group), maxShort)
	case strings.HasPrefix(cfg.Group, "amq."):
		return fmt.Errorf("the group %q: names that begin with amq. are the server's own; choose another name", cfg.Group)
	}
	cfg.Window = min(cfg.Window, maxWindow)
	s.Want(cfg, r)
	return nil
}

// serve is one connection. It returns nil when it is not wanted any more.
func (s *subscriber) serve(sub *outbox.Subscription) error {
	k, err := s.c.dial(noListener{}, "subscriber")
	if err != nil {
		return err
	}
	defer k.end()
	var deliveries <-chan rabbit.Delivery
	var closed chan *rabbit.Error
	var r *receiving
	if sub != nil {
		if r, deliveries, closed, err = s.receive(k, sub); err != nil {
			return err
		}
	}
	s.Connected()
	var again <-chan time.Time
	for {
		if again == nil && sub != nil && (r == nil || len(r.refused) > 0) {
			again = time.After(s.retry)
		}
		select {
		case <-s.c.Stop:
			return nil
		case <-s.Changed():
			if !s.Wants(sub) {
				return nil
			}
		case <-again:
			if again = nil; r == nil {
				return nil // nothing was agreed to, so there is nothing to lose
			}
			if err := s.bindAgain(k, r, sub); err != nil {
				return err
			}
		case e := <-k.closed:
			if e == nil {
				e = rabbit.ErrClosed
			}
			return k.lost(e)
		case e := <-closed:
			if k.IsClosed() || e == nil {
				return k.lost(rabbit.ErrClosed)
			}
			return &lostError{server: e}
		case d, ok := <-deliveries:
			if !ok { // the queue was deleted, or the channel closed
				select {
				case e := <-closed:
					if e != nil && !k.IsClosed() {
						return &lostError{server: e}
					}
					return k.lost(rabbit.ErrClosed)
				default:
					return errors.New("the server has ended the subscription; the queue was deleted")
				}
			}
			batch := []adapters.Incoming{s.incoming(r, sub, &d)} // the receiver's own
		more:
			for len(batch) < receiveAtOnce {
				select {
				case d, ok := <-deliveries:
					if !ok {
						break more
					}
					batch = append(batch, s.incoming(r, sub, &d))
				default:
					break more
				}
			}
			s.Tell(sub, func(r adapters.Receiver) { r.Receive(batch) })
		}
	}
}

// refuse tells topics that the server refuses them; other errors end the connection.
func (s *subscriber) refuse(k *link, sub *outbox.Subscription, topics []string, err error) error {
	re := (*rabbit.Error)(nil)
	if k.IsClosed() || !errors.As(err, &re) || !re.Server {
		return k.lost(err)
	}
	kind := adapters.ErrRejected
	switch re.Code {
	case rabbit.AccessRefused, rabbit.ResourceLocked:
		kind = adapters.ErrUnauthorized
	case rabbit.NotFound:
		kind = adapters.ErrUnknownTopic
	}
	cause, remedy, _ := strings.Cut(s.c.set.reason(&lostError{server: re}), "; ")
	for _, t := range topics {
		s.Tell(sub, func(r adapters.Receiver) { r.Subscribed(t, s.c.DeliveryError(kind, t, cause, remedy)) })
	}
	return nil
}

// bind binds a queue to topics. It gives those that were, those that the server refuses, and the channel to go on
// with: a refusal closes it.
func (s *subscriber) bind(k *link, ch *rabbit.Channel, queue string, topics []string, refuse func(topic string, err error) error) (good, refused []string, next *rabbit.Channel, err error) {
	for _, t := range topics {
		if err := ch.QueueBind(queue, t, s.c.set.exchange, false, nil); err == nil {
			good = append(good, t)
			continue
		} else if err := refuse(t, err); err != nil {
			return nil, nil, nil, err
		}
		refused = append(refused, t)
		if ch, err = k.Channel(); err != nil {
			return nil, nil, nil, k.lost(err)
		}
	}
	return good, refused, ch, nil
}

// receive makes the queue, binds it, and begins to consume. Topics that the server refuses are told as such;
// when none is left, nothing is received.
func (s *subscriber) receive(k *link, sub *outbox.Subscription) (*receiving, <-chan rabbit.Delivery, chan *rabbit.Error, error) {
	ch, err := k.Channel()
	if err != nil {
		return nil, nil, nil, k.lost(err)
	}
	queue, err := s.queue(ch, sub.Group)
	if err != nil {
		return nil, nil, nil, s.refuse(k, sub, sub.Topics, err)
	}
	good, refused, ch, err := s.bind(k, ch, queue, sub.Topics, func(topic string, err error) error { return s.refuse(k, sub, []string{topic}, err) })
	if err != nil || len(good) == 0 {
		return nil, nil, nil, err
	}
	if ch, err = s.unbind(k, ch, sub.Group, good); err != nil {
		return nil, nil, nil, err
	}
	if err := ch.Qos(sub.Window, 0, false); err != nil {
		return nil, nil, nil, k.lost(err)
	}
	closed := ch.NotifyClose(make(chan *rabbit.Error, 1))
	deliveries, err := ch.Consume(queue, "", false, sub.Group == "", false, false, nil)
	if err != nil {
		return nil, nil, nil, s.refuse(k, sub, good, err)
	}
	for _, t := range good {
		s.Tell(sub, func(r adapters.Receiver) { r.Subscribed(t, nil) })
	}
	return &receiving{k: k, ch: ch, queue: queue, refused: refused}, deliveries, closed, nil
}

// bindAgain tries topics again that were refused, over a channel of its own. What is refused still was told before.
func (s *subscriber) bindAgain(k *link, r *receiving, sub *outbox.Subscription) error {
	ch, err := k.Channel()
	if err != nil {
		return k.lost(err)
	}
	good, refused, ch, err := s.bind(k, ch, r.queue, r.refused, func(_ string, err error) error {
		if re := (*rabbit.Error)(nil); k.IsClosed() || !errors.As(err, &re) || !re.Server {
			return k.lost(err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_ = ch.Close()
	r.refused = refused
	for _, t := range good {
		if sub.Group != "" {
			s.bound[sub.Group][t] = true
		}
		s.Tell(sub, func(r adapters.Receiver) { r.Subscribed(t, nil) })
	}
	return nil
}

// queue is that of the group, which outlives us, or one of our own, which does not.
func (s *subscriber) queue(ch *rabbit.Channel, group string) (string, error) {
	var args rabbit.Table
	if s.c.set.queueType != "" && group != "" {
		args = rabbit.Table{"x-queue-type": s.c.set.queueType}
	}
	own := group == ""
	q, err := ch.QueueDeclare(group, s.c.set.durable && !own, own, own, false, args)
	return q.Name, err
}

// unbind ends what an earlier subscription of this conn has bound the group's queue to. What the server refuses is
// tried again by the next one.
func (s *subscriber) unbind(k *link, ch *rabbit.Channel, group string, topics []string) (*rabbit.Channel, error) {
	if group == "" {
		return ch, nil
	}
	bound := map[string]bool{}
	for _, t := range topics {
		bound[t] = true
	}
	for t := range s.bound[group] {
		if bound[t] {
			continue
		}
		err := ch.QueueUnbind(group, t, s.c.set.exchange, nil)
		if err == nil {
			continue
		}
		if re := (*rabbit.Error)(nil); k.IsClosed() || !errors.As(err, &re) || !re.Server {
			return nil, k.lost(err)
		}
		bound[t] = true
		s.once(adapters.LogWarning, fmt.Sprintf("the queue %s stays bound to %s: %s", group, t, s.c.set.reason(err)))
		if ch, err = k.Channel(); err != nil { // the refusal has closed it
			return nil, k.lost(err)
		}
	}
	s.bound[group] = bound
	return ch, nil
}

func (s *subscriber) once(level adapters.LogLevel, text string) {
	if !s.told[text] {
		s.told[text] = true
		s.c.Gate.Log(adapters.LogEntry{Level: level, Facility: "amqp", Text: s.c.set.where() + ": " + text})
	}
}

// noListener: the subscriber's channel is the library's.
type noListener struct{}

func (noListener) confirmed(uint64, bool, bool) {}
func (noListener) unroutable(*returned)         {}
func (noListener) settled() int                 { return 0 }
