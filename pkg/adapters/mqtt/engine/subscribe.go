// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// shareFilter makes the filter of a topic and a consumer group: MQTT 5.0, section 4.8.2.
func shareFilter(topic, group string) (string, error) {
	if err := CheckFilter(topic); err != nil {
		return "", err
	}
	if group == "" || strings.HasPrefix(topic, "$share/") {
		return topic, nil
	}
	if strings.ContainsAny(group, "/+#\x00") {
		return "", fmt.Errorf("the consumer group %q holds one of / + #", group)
	}
	return "$share/" + group + "/" + topic, nil
}

// Subscribe replaces the subscription.
func (c *Conn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	if cfg.Window <= 0 {
		cfg.Window = adapters.DefaultWindow
	}
	if cfg.Group == "" {
		cfg.Group = c.o.Group
	}
	cfg.Topics = slices.Clone(cfg.Topics)
	filters := make([]string, len(cfg.Topics))
	for i, t := range cfg.Topics {
		var err error
		if filters[i], err = c.o.Filter(t, cfg.Group); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return errors.New("the connection is closed")
	}
	for c.delivering {
		c.cond.Wait()
	}
	before := append(c.parked, c.filters...)
	if c.parked = nil; len(filters) == 0 && c.o.Durable {
		c.parked, before = before, nil
	}
	for _, f := range before {
		if !slices.Contains(filters, f) {
			c.dropped = append(c.dropped, f)
			delete(c.granted, f)
		}
	}
	c.dropped = slices.DeleteFunc(c.dropped, func(f string) bool { return slices.Contains(filters, f) })
	c.sub, c.filters, c.receiver, c.notes = cfg, filters, r, nil
	if len(filters) == 0 {
		c.receiver = nil
	}
	c.renewLocked()
	if c.s != nil {
		c.unsubscribeLocked()
		c.subscribeLocked()
		if c.ignored && c.receiver != nil {
			c.ignored = false
			c.s.renew = true // the server sends again what nobody took
		}
	}
	c.cond.Broadcast()
	c.wakeWriter()
	return nil
}

// maxSpare messages of topics that nobody is subscribed to any more stay with the server. Mosquitto sends 20
// without an acknowledgement.
const maxSpare = 10

// renewLocked hands what was not acknowledged to the receiver of another subscription.
func (c *Conn) renewLocked() {
	fresh := c.rx.next
	if len(c.held) > 0 {
		fresh = c.held[0].Token.(token).number
	}
	most := maxSpare
	if c.receiver == nil { // and so nothing that could be held up
		most = adapters.DefaultWindow
	}
	gone := 0
	c.held, gone = c.rx.renew(func(topic string) bool {
		return slices.ContainsFunc(c.sub.Topics, func(t string) bool { return c.o.Match(t, topic) })
	}, most, fresh)
	if gone > 0 {
		c.logLater(adapters.LogWarning, "%d messages of topics that are no longer subscribed to had not been dealt with, and are given up", gone)
	}
	if c.s != nil {
		c.control = c.rx.acknowledge(c.control)
	}
}

// unsubscribeLocked takes back what is no longer wanted. A server that keeps the session remembers it until
// then, so it is asked again after a reconnection that came too soon.
func (c *Conn) unsubscribeLocked() {
	for some := range slices.Chunk(c.dropped, 8) {
		id := c.nextID()
		c.leaving[id] = slices.Clone(some)
		c.control = appendUnsubscribe(c.control, c.s.version, id, some)
	}
}

// unsuback takes the server's answer to UNSUBSCRIBE.
func (c *Conn) unsuback(body []byte) error {
	cur := cursor{b: body}
	id := cur.u16()
	if cur.bad {
		return errMalformed
	}
	c.dropped = slices.DeleteFunc(c.dropped, func(f string) bool { return slices.Contains(c.leaving[id], f) })
	delete(c.leaving, id)
	return nil
}

// nextID is a packet identifier of those that PUBLISH does not use.
func (c *Conn) nextID() uint16 {
	if c.lastID++; c.lastID <= publishIDs {
		c.lastID = publishIDs + 1
	}
	return c.lastID
}

// subscribeLocked asks the server for everything that is subscribed to.
func (c *Conn) subscribeLocked() {
	var filters []filter
	var asked []request
	size := 0
	flush := func() {
		if len(filters) > 0 {
			id := c.nextID()
			c.requests[id] = asked
			c.control = appendSubscribe(c.control, c.s.version, id, min(c.o.SubscribeQoS, 2), filters)
		}
		filters, asked, size = nil, nil, 0
	}
	for i, f := range c.filters {
		topic := c.sub.Topics[i]
		if c.s.version == V311 && f != topic && strings.HasPrefix(f, "$share/") {
			c.notes = append(c.notes, note{topic, &adapters.DeliveryError{Kind: adapters.ErrRejected, Topic: topic, Host: c.o.Info.Host,
				Cause: "the server speaks MQTT 3.1.1, which has no consumer groups", Remedy: "leave the consumer group out, or use a server with MQTT 5"}})
			continue
		}
		filters = append(filters, filter{f, c.granted[f]})
		asked = append(asked, request{topic, f})
		// Some servers bound the topics of one packet (AWS: 8).
		if size += len(f); len(filters) == 8 || size > 8<<10 {
			flush()
		}
	}
	flush()
}

// suback takes the server's answer to SUBSCRIBE.
func (c *Conn) suback(id uint16, codes []byte, said string) {
	for i, r := range c.requests[id] {
		if i >= len(codes) {
			break
		}
		if codes[i] < 0x80 {
			c.granted[r.filter] = true
			c.notes = append(c.notes, note{topic: r.topic})
			continue
		}
		e := refusal(c.o.Info.Host, r.topic, codes[i], said, 0)
		e.Cause = "the server refused the subscription: " + reasons[codes[i]].text
		if codes[i] == codeNotAuthorised || codes[i] == 0x80 {
			e.Kind = adapters.ErrUnauthorized
			e.Remedy = "allow it in the server's access rules, or check username and topic"
		}
		if said = printable(said); said != "" {
			e.Cause += fmt.Sprintf(", %q", said)
		}
		c.notes = append(c.notes, note{r.topic, e})
	}
	delete(c.requests, id)
}

// arrived takes a PUBLISH. It answers false when there is no room: the same packet is to come again.
func (c *Conn) arrived(p publication, v Version) bool {
	var h uint64
	if p.qos > 0 {
		if p.qos == 2 && c.rx.releases[p.id] {
			c.control = appendAck(c.control, typePubrec, p.id, 0) // our PUBREC was lost
			return true
		}
		h = c.rx.hash(&p)
		if c.rx.known(p.id, p.dup, h) {
			c.control = c.rx.acknowledge(c.control)
			return true
		}
	}
	window := c.sub.Window
	if c.receiver == nil {
		window = adapters.DefaultWindow
	}
	if c.rx.full(window) || (c.receiver == nil && c.rx.open+len(c.rx.spare) >= window) {
		if c.receiver != nil {
			return false
		}
		// Of an earlier subscription, and nobody has come for it: it stays with the server.
		c.ignored = c.ignored || p.qos > 0
		return true
	}
	m := adapters.Incoming{Topic: string(p.topic), Payload: append([]byte(nil), p.payload...), Headers: p.headers,
		Redelivered: p.dup || (p.retain && c.s.resumed)}
	if len(p.response) > 0 && CheckTopic(string(p.response)) == nil {
		m.Reply = c.replier(string(p.response), append([]byte(nil), p.correlation...))
	}
	wanted := true
	if c.o.Incoming != nil {
		wanted = c.o.Incoming(&m, c.send)
	}
	x := c.rx.add(arrival{id: p.id, qos: p.qos, hash: h, m: m})
	if !wanted {
		c.rx.ack(x.Token.(token))
		c.control = c.rx.acknowledge(c.control)
		return true
	}
	c.held = append(c.held, *x)
	return true
}

// deliver hands out what has come, outside the lock, by one goroutine at a time.
func (c *Conn) deliver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if logs := c.logs; len(logs) > 0 {
		c.logs = nil
		c.mu.Unlock()
		for _, e := range logs {
			c.sink.Log(e)
		}
		c.mu.Lock()
	}
	for c.receiver != nil && !c.closing && len(c.held)+len(c.notes) > 0 {
		if c.delivering {
			c.cond.Wait()
			continue
		}
		r, held, notes := c.receiver, c.held, c.notes
		c.held, c.notes, c.delivering = nil, nil, true
		c.mu.Unlock()
		for _, n := range notes {
			r.Subscribed(n.topic, n.err)
			if n.err == nil && c.o.Granted != nil {
				c.o.Granted(n.topic, c.send)
			}
		}
		if len(held) > 0 {
			r.Receive(held)
		}
		c.mu.Lock()
		c.delivering = false
		c.cond.Broadcast()
	}
}

// Ack confirms messages.
func (c *Conn) Ack(list []adapters.Incoming) {
	c.mu.Lock()
	for i := range list {
		if t, ok := list[i].Token.(token); ok {
			c.rx.ack(t)
		}
	}
	before := len(c.control)
	if c.s != nil {
		c.control = c.rx.acknowledge(c.control)
	}
	due := len(c.control) > before
	c.cond.Broadcast()
	c.mu.Unlock()
	if due {
		c.wakeWriter()
	}
}

var errReplies = errors.New("the answer was refused: too many answers wait for the server; answer less often")

// replier makes the Reply of a message with a response topic: MQTT 5.0, section 4.10.
func (c *Conn) replier(topic string, correlation []byte) func(int, []byte) error {
	return func(status int, payload []byte) error {
		var h adapters.Headers
		if status != 0 {
			h = h.AppendString("status", fmt.Sprint(status))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.enqueueLocked(topic, correlation, h, payload)
	}
}

func (c *Conn) send(topic string, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enqueueLocked(topic, nil, nil, payload)
}

// enqueueLocked puts a message of our own into the queue.
func (c *Conn) enqueueLocked(topic string, correlation []byte, h adapters.Headers, payload []byte) error {
	switch {
	case c.failed != nil:
		return c.failed
	case c.closing:
		return errors.New("the answer was refused: the connection is closed")
	case c.replies >= maxReplies:
		return errReplies
	case c.q.bytes > 0 && c.q.bytes+int64(len(payload)) > maxQueueBytes:
		return errReplies
	}
	ch := c.q.newChunk(len(topic) + len(correlation) + len(h) + len(payload))
	ch.buf = append(append(append(append(ch.buf, topic...), correlation...), h...), payload...)
	c.q.push(entry{data: ch.buf, chunk: ch, topicLen: uint16(len(topic)), corrLen: uint16(len(correlation)), headersLen: uint32(len(h)), own: true})
	c.replies++
	c.wakeWriter()
	return nil
}
