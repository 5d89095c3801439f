// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import (
	"errors"
	"time"
)

// An Incoming is a message that a server has sent us.
type Incoming struct {
	Topic       string // as the protocol names it: topic, stream, routing key, subject
	Key         []byte // nil means none
	Payload     []byte
	Headers     Headers
	TimestampMS int64  // when it was sent, in milliseconds since 1970 UTC; 0 when the protocol does not tell
	Position    string // where the server keeps it (Kafka: PARTITION@OFFSET, Redis: entry id …), for logs; "" when unknown
	Redelivered bool   // the server says that it was sent before

	// Reply answers the sender where the protocol has a way of its own to do so (MQTT 5 response topic, NATS
	// reply subject, AMQP reply-to, Azure direct method); nil where it has none. It copies payload and does
	// not wait for the network. status is for protocols that have one (Azure: as in HTTP); 0 means success.
	Reply func(status int, payload []byte) error

	// Token is the adapter's own note of what Ack has to confirm; nobody else looks at it.
	Token any
}

// A Receiver takes what a subscription brings. Its methods are called outside all locks of the adapter, by
// one goroutine at a time, and never wait for the network nor call the adapter.
type Receiver interface {
	// Receive is handed messages in the order of the server. They belong to the receiver.
	Receive([]Incoming)
	// Subscribed tells that the server has agreed to a topic (err nil) or refused it for good (err a
	// *DeliveryError). It may come again after every reconnection.
	Subscribed(topic string, err error)
}

// A SubscribeConfig says what to receive.
type SubscribeConfig struct {
	Topics []string // in the protocol's own syntax, wildcards included
	Group  string   // consumers of one group share the messages and the place reached; "" means the default or the configuration's
	Window int      // messages handed out and not acknowledged by Ack, at most (fewer when they are large); 0 means DefaultWindow
	// FromStart: a group that the server does not know yet begins with the oldest message that it keeps,
	// not with the next one. Protocols that keep nothing ignore it.
	FromStart bool
}

// DefaultWindow is the Window of those who do not say.
const DefaultWindow = 1000

// ErrNotSupported: the protocol, or the server, has no such thing.
var ErrNotSupported = errors.New("not supported")

// A Consumer is a Conn that brings messages too; that of every Adapter whose Capabilities say Subscribe.
//
// A message counts as taken only when Ack was called: those without are sent again after a reconnection or
// by the next session, where the server can (at least once). The adapter reconnects its subscriptions as it
// does its publishing, tells both through Sink.State, and stops reading, not dropping, when Window is
// reached.
//
// What was acknowledged before Close is called does not come again, if the server takes it within AckTimeout; nor what
// was acknowledged before Subscribe is called again, if it does so within seconds. A protocol without acknowledgements
// (MQTT with QoS 0, libraries of the NvDs interface) or without sessions that outlive us brings nothing twice anyway.
type Consumer interface {
	Conn
	// Subscribe replaces what is subscribed to, everything at once; no topics end it. It validates what can
	// be validated here and never waits for the network. A Conn has one Receiver at a time; the former one is
	// not called any more when Subscribe returns, and what it did not acknowledge comes to the new one where that
	// wants it. May be called by another goroutine than Publish.
	Subscribe(SubscribeConfig, Receiver) error
	// Ack confirms messages to the server: of these we need no further copy. Any goroutine; never waits for
	// the network; messages of an earlier session or subscription are ignored.
	Ack([]Incoming)
}

// A Matcher is an Adapter whose topics of a subscription can be patterns. Without it a topic matches itself.
type Matcher interface {
	Match(pattern, topic string) bool
}

// AckTimeout bounds how long Close of a Consumer tries to hand the last acknowledgements to the server.
const AckTimeout = 300 * time.Millisecond
