// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

// A receiving is one channel that brings messages.
type receiving struct {
	k       *link
	ch      *rabbit.Channel
	queue   string
	refused []string // topics, for serve alone

	mu   sync.Mutex
	last uint64   // the latest tag that came
	open []uint64 // those that are not confirmed, in order; no more than the window
}

// An ackToken names a message towards the session that brought it.
type ackToken struct {
	session *receiving
	tag     uint64
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

func (r *receiving) came(tag uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = tag
	r.open = append(r.open, tag)
}

// ack confirms as few times as possible.
func (r *receiving) ack(messages []adapters.Incoming) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var fresh []uint64
	for i := range messages {
		tag := messages[i].Token.(ackToken).tag
		at, known := slices.BinarySearch(r.open, tag)
		switch {
		case !known:
			continue
		case at == 0:
			r.open = r.open[1:]
		default:
			r.open = slices.Delete(r.open, at, at+1)
		}
		fresh = append(fresh, tag)
	}
	first := r.last + 1
	if len(r.open) > 0 {
		first = r.open[0]
	}
	// RabbitMQ closes the channel when told of a tag that is confirmed already: one of the new ones stands for
	// all before it.
	upTo := uint64(0)
	for _, tag := range fresh {
		if tag < first {
			upTo = max(upTo, tag)
		} else {
			_ = r.ch.Ack(tag, false) // a channel that is closed says so to serve
		}
	}
	if upTo > 0 {
		_ = r.ch.Ack(upTo, true)
	}
}

// incoming turns a message of the library into ours.
func (s *subscriber) incoming(r *receiving, sub *outbox.Subscription, d *rabbit.Delivery) adapters.Incoming {
	r.came(d.DeliveryTag)
	s.stray(r, sub, d)
	in := adapters.Incoming{Topic: d.RoutingKey, Payload: d.Body, Redelivered: d.Redelivered, Token: ackToken{r, d.DeliveryTag}}
	if !d.Timestamp.IsZero() {
		in.TimestampMS = d.Timestamp.UnixMilli()
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		switch v := d.Headers[name].(type) {
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
		in.Reply = r.reply(d.ReplyTo, d.CorrelationId)
	}
	return in
}

// stray says that a queue brings what nobody here has asked for: AMQP cannot list the bindings of an earlier run, so
// they cannot be ended here. Exchanges that do not look at the routing key bring anything.
func (s *subscriber) stray(r *receiving, sub *outbox.Subscription, d *rabbit.Delivery) {
	if d.Exchange != s.c.set.exchange || s.c.set.kind == "fanout" || s.c.set.kind == "headers" || s.told[r.queue] ||
		slices.ContainsFunc(sub.Topics, func(t string) bool { return adapter{}.Match(t, d.RoutingKey) }) {
		return
	}
	s.told[r.queue] = true
	s.once(adapters.LogWarning, fmt.Sprintf("the queue %s brings %.100q, which no topic of this subscription matches: the exchange %s is no topic exchange, or the queue "+
		"is, or was, bound to other topics too, by an earlier subscription or someone else; see rabbitmqctl list_bindings, and unbind it or delete the queue", r.queue, d.RoutingKey, d.Exchange))
}

// reply answers a request. A server that reads no answers does not pile them up here.
func (r *receiving) reply(to, id string) func(int, []byte) error {
	return func(status int, payload []byte) error {
		if r.k.wire.full() {
			return errors.New("too many answers wait for the network; answer again later")
		}
		p := rabbit.Publishing{CorrelationId: id, AppId: appID, Body: payload, ContentType: contentBytes, Timestamp: time.Now()}
		if looksLikeJSON(payload) {
			p.ContentType = contentJSON
		}
		if status != 0 {
			p.Headers = rabbit.Table{"status": int32(status)}
		}
		return r.ch.Publish("", to, false, false, p)
	}
}
