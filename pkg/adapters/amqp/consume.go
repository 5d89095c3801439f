// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	receiveAtOnce = 128
	maxWindow     = 65535 // of basic.qos
)

// A subscriber receives over a connection of its own.
type subscriber struct {
	outbox.Subscriber
	c  *conn
	mu sync.Mutex

	bound map[string]map[string]bool // queue → patterns that this conn has bound it to
}

func (s *subscriber) prepare(c *conn) {
	s.c, s.bound = c, map[string]map[string]bool{}
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

// Ack confirms messages.
func (c *conn) Ack(messages []adapters.Incoming) {
	for len(messages) > 0 {
		t, ok := messages[0].Token.(ackToken)
		if !ok {
			messages = messages[1:]
			continue
		}
		n := 1
		for n < len(messages) {
			if next, ok := messages[n].Token.(ackToken); !ok || next.session != t.session {
				break
			}
			n++
		}
		t.session.ack(messages[:n])
		messages = messages[n:]
	}
}

// An ackToken names a message towards the session that brought it.
type ackToken struct {
	session *receiving
	tag     uint64
}

// A receiving is one channel that brings messages.
type receiving struct {
	ch *rabbit.Channel

	mu    sync.Mutex
	next  uint64              // all before it are confirmed
	ahead map[uint64]struct{} // confirmed, but not all before them
}

// ack confirms as few times as possible.
func (r *receiving) ack(messages []adapters.Incoming) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var fresh []uint64
	for i := range messages {
		tag := messages[i].Token.(ackToken).tag
		if _, known := r.ahead[tag]; tag < r.next || known {
			continue
		}
		r.ahead[tag] = struct{}{}
		fresh = append(fresh, tag)
	}
	for len(r.ahead) > 0 {
		if _, ok := r.ahead[r.next]; !ok {
			break
		}
		delete(r.ahead, r.next)
		r.next++
	}
	// RabbitMQ closes the channel when told of a tag that is confirmed already: one of the new ones stands for
	// all before it.
	upTo := uint64(0)
	for _, tag := range fresh {
		if tag < r.next {
			upTo = max(upTo, tag)
		} else {
			_ = r.ch.Ack(tag, false) // a channel that is closed says so to serve
		}
	}
	if upTo > 0 {
		_ = r.ch.Ack(upTo, true)
	}
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
	for {
		select {
		case <-s.c.Stop:
			return nil
		case <-s.Changed():
			if !s.Wants(sub) {
				return nil
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
			batch := []adapters.Incoming{s.incoming(r, &d)} // the receiver's own
		more:
			for len(batch) < receiveAtOnce {
				select {
				case d, ok := <-deliveries:
					if !ok {
						break more
					}
					batch = append(batch, s.incoming(r, &d))
				default:
					break more
				}
			}
			s.Tell(sub, func(r adapters.Receiver) { r.Receive(batch) })
		}
	}
}

// receive makes the queue, binds it, and begins to consume. Topics that the server refuses are told as such;
// when none is left, nothing is received.
func (s *subscriber) receive(k *link, sub *outbox.Subscription) (*receiving, <-chan rabbit.Delivery, chan *rabbit.Error, error) {
	refuse := func(topics []string, err error) error {
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
	ch, err := k.Channel()
	if err != nil {
		return nil, nil, nil, k.lost(err)
	}
	queue, err := s.queue(ch, sub.Group)
	if err != nil {
		return nil, nil, nil, refuse(sub.Topics, err)
	}
	var good []string
	for _, t := range sub.Topics {
		if err := ch.QueueBind(queue, t, s.c.set.exchange, false, nil); err == nil {
			good = append(good, t)
			continue
		} else if err := refuse([]string{t}, err); err != nil {
			return nil, nil, nil, err
		}
		if ch, err = k.Channel(); err != nil { // the refusal has closed it
			return nil, nil, nil, k.lost(err)
		}
	}
	if len(good) == 0 {
		return nil, nil, nil, nil
	}
	s.unbind(ch, sub.Group, good)
	if err := ch.Qos(sub.Window, 0, false); err != nil {
		return nil, nil, nil, k.lost(err)
	}
	closed := ch.NotifyClose(make(chan *rabbit.Error, 1))
	deliveries, err := ch.Consume(queue, "", false, sub.Group == "", false, false, nil)
	if err != nil {
		return nil, nil, nil, refuse(good, err)
	}
	for _, t := range good {
		s.Tell(sub, func(r adapters.Receiver) { r.Subscribed(t, nil) })
	}
	return &receiving{ch: ch, next: 1, ahead: map[uint64]struct{}{}}, deliveries, closed, nil
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

// unbind ends what an earlier subscription of this conn has bound the group's queue to.
func (s *subscriber) unbind(ch *rabbit.Channel, group string, topics []string) {
	if group == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	bound := map[string]bool{}
	for _, t := range topics {
		bound[t] = true
	}
	for t := range s.bound[group] {
		if !bound[t] {
			_ = ch.QueueUnbind(group, t, s.c.set.exchange, nil)
		}
	}
	s.bound[group] = bound
}

// incoming turns a message of the library into ours.
func (s *subscriber) incoming(r *receiving, d *rabbit.Delivery) adapters.Incoming {
	in := adapters.Incoming{Topic: d.RoutingKey, Payload: d.Body, Redelivered: d.Redelivered, Token: ackToken{r, d.DeliveryTag}}
	if !d.Timestamp.IsZero() {
		in.TimestampMS = d.Timestamp.UnixMilli()
	}
	for name, value := range d.Headers {
		switch v := value.(type) {
		case string:
			if name == keyHeader {
				in.Key = []byte(v)
				continue
			}
			in.Headers = in.Headers.AppendString(name, v)
		case []byte:
			if name == keyHeader {
				in.Key = v
				continue
			}
			in.Headers = in.Headers.Append(name, v)
		case int64:
			if name == millisHeader {
				in.TimestampMS = v
				continue
			}
			in.Headers = in.Headers.AppendString(name, fmt.Sprint(v))
		case time.Time:
			in.Headers = in.Headers.AppendString(name, v.UTC().Format(time.RFC3339))
		default:
			in.Headers = in.Headers.AppendString(name, fmt.Sprint(v))
		}
	}
	if d.ReplyTo != "" {
		ch, to, id := r.ch, d.ReplyTo, d.CorrelationId
		in.Reply = func(status int, payload []byte) error {
			p := rabbit.Publishing{CorrelationId: id, AppId: appID, Body: payload, ContentType: contentBytes, Timestamp: time.Now()}
			if looksLikeJSON(payload) {
				p.ContentType = contentJSON
			}
			if status != 0 {
				p.Headers = rabbit.Table{"status": int32(status)}
			}
			return ch.Publish("", to, false, false, p)
		}
	}
	return in
}

// noListener: the subscriber's channel is the library's.
type noListener struct{}

func (noListener) confirmed(uint64, bool, bool) {}
func (noListener) unroutable(*returned)         {}
func (noListener) settled() int                 { return 0 }
