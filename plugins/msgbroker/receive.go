// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/messagemeta"
	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
)

const (
	// receiveWindow bounds the messages that the application has not dealt with.
	receiveWindow = 100
	// receivePatience is how long a stop waits for a signal handler. One that
	// stops the element itself must not wait for its own end.
	receivePatience = 200 * time.Millisecond
)

// A hook sees each message that the broker sends, before the signal and the
// bus, on the goroutine of the receiver. It calls done once, from anywhere, when
// as far as it is concerned the message may be acknowledged; it keeps nothing of
// m after that.
type hook func(m *adapters.Incoming, done func())

// A receiver hands what the broker sends to the application: by the hooks, the
// signal message-received and the element message msgbroker-message. A message
// is acknowledged when the hooks are done with it, the signal's handlers have
// returned, and nobody holds the element message any more. So an application
// that does not read its bus holds the broker back, and loses nothing.
type receiver struct {
	s    *sink
	sub  *broker.Subscription
	wg   sync.WaitGroup
	done chan struct{}
}

// receivingSignals are the class's part of it.
func receivingSignals() []gst.Signal {
	return []gst.Signal{{
		Name:   "message-received", // topic, payload, key or NULL, timestamp in ms or 0, headers
		Params: []gst.Type{gst.TypeString, gst.TypeBytes(), gst.TypeBytes(), gst.TypeInt64, gst.TypeStructure()},
	}}
}

func receivingProperties() []gst.Property {
	return []gst.Property{
		stringProp("subscribe-topics", "Topics to receive, separated by semicolons, in the protocol's syntax for patterns. What comes is told by "+
			"the signal message-received and the element message msgbroker-message", func(s *settings) *string { return &s.subscribeTopics }),
		stringProp("consumer-group", "Consumers of one group share the messages and the place reached; default: the one that config names, or the protocol's",
			func(s *settings) *string { return &s.consumerGroup }),
	}
}

// receive subscribes, if topics are named.
func (s *sink) receive(conn *broker.Connection, set *settings) error {
	topics := brokerside.Topics(set.subscribeTopics)
	if len(topics) == 0 {
		return nil
	}
	sub, err := conn.Subscribe(broker.SubscribeOptions{Topics: topics, Group: strings.TrimSpace(set.consumerGroup), Window: receiveWindow,
		FromStart: true, OnSubscribed: s.reporter.Subscribed})
	if err != nil {
		return err
	}
	r := &receiver{s: s, sub: sub, done: make(chan struct{})}
	s.Ref()
	safe.Go(&r.wg, "messages to msgbroker", func(e *safe.PanicError) {
		log.Log(gst.LevelError, nil, "%v\n%s", e, e.Stack)
	}, r.run)
	s.receiver = r
	return nil
}

// stop ends the deliveries. What is not acknowledged comes again in the next run.
func (r *receiver) stop() {
	if r == nil {
		return
	}
	r.sub.Close()
	timer := time.NewTimer(receivePatience)
	defer timer.Stop()
	select {
	case <-r.done:
		r.wg.Wait()
	case <-timer.C:
	}
}

func (r *receiver) run() {
	defer r.s.Unref()
	defer close(r.done)
	for {
		m, err := r.sub.Next(context.Background())
		if err != nil {
			return
		}
		r.deliver(&m)
	}
}

// deliver shows a message to everybody.
func (r *receiver) deliver(m *adapters.Incoming) {
	var left atomic.Int32
	left.Store(int32(len(r.s.hooks)) + 2)
	done := func() {
		if left.Add(-1) == 0 {
			r.sub.Ack(m)
		}
	}
	for _, h := range r.s.hooks {
		h(m, sync.OnceFunc(done))
	}
	out := gst.Structure{Name: "msgbroker-message"}
	out.Add("topic", m.Topic)
	var key any // NULL without one
	if m.Key != nil {
		key = m.Key
		out.Add("key", m.Key)
	}
	headers := messagemeta.Headers(m)
	out.Add("payload", m.Payload)
	out.Add("timestamp", m.TimestampMS)
	out.Add("position", m.Position)
	out.Add("redelivered", m.Redelivered)
	out.Add("headers", headers)
	r.s.Emit("message-received", strings.ToValidUTF8(m.Topic, "\uFFFD"), m.Payload, key, m.TimestampMS, headers)
	done()
	r.s.PostMessageThen(out, done)
}
