// SPDX-License-Identifier: LGPL-2.1-or-later

// Package broker carries messages to a server through an adapter (package adapters): it queues them,
// keeps on disk what memory should not hold (package spool), counts what the server acknowledged, tells
// the state of the connection, and drains.
//
// Publish copies the message into a bounded queue and returns; it never waits for the network or the disk.
// A message is kept until the server has answered for it. The goroutines of a link, which is what one or
// more Connections share: one hands the queue to the adapter in batches, one reads and writes the spool
// if there is one. Each Connection has one that calls the user's callbacks.
//
// Messages are in one order, that of their sequence numbers, in three places: the queue (in memory, from
// which the adapter is fed), the spool behind it (on disk), and the stage behind that (in memory, on the
// way to disk). Without a spool, or while it has no work, there is only the queue.
//
// Lock order: receiver.call, link.mu, then the registry's, receiver.mu, notifier.mu or the spool's own. No
// adapter, no callback and no file is touched under any of them, but for receiver.call.
package broker

import (
	"context"
	"errors"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
)

// Errors of Publish and PublishWait. What they advise to change are the properties of the elements.
var (
	ErrFull = errors.New("the queue is full; see why the broker does not keep up, set spool-dir, or allow more " +
		"(max-queue-messages, max-queue-bytes, with a spool also spool-max-bytes)")
	ErrTooLarge = errors.New("the message is larger than the whole queue; raise max-queue-bytes, and spool-max-bytes if there is a spool")
	ErrClosed   = errors.New("the connection is closed")
	ErrNoTopic  = errors.New("the message has no topic and the connection has no default one; set topic, or give the fields of " +
		"topic-template defaults, as in {sensor.id|unknown}")
	ErrHeaders  = errors.New("the message's headers are damaged")
	ErrCanceled = errors.New("the wait was interrupted")
)

// Defaults of Options.
const (
	DefaultMaxMessages = 100_000
	DefaultMaxBytes    = 64 << 20
)

// FullPolicy says what happens to a message when queue and spool are full.
type FullPolicy int

// The policies.
const (
	Block      FullPolicy = iota // PublishWait waits while connected, and the newest is dropped after that
	DropNewest                   // the message itself is dropped
	DropOldest                   // the oldest that was not handed to the protocol's client is dropped in its favour
)

// SpoolMode says when messages go to disk.
type SpoolMode int

// The modes.
const (
	SpoolOverflow SpoolMode = iota // when memory fills, while the server is away, and what is left at Close
	SpoolAlways                    // each message, before it counts as accepted and before it is sent
)

// Spool describes the queue on disk.
type Spool struct {
	Dir      string // of this connection alone; "" means none
	Mode     SpoolMode
	MaxBytes int64         // 0 means spool.DefaultMaxBytes
	MaxAge   time.Duration // older messages are given up; 0 means none
	Sync     spool.Sync
}

// Options describe a connection. The callbacks are called one after the other by a goroutine of the
// connection, outside all locks; they may use the connection, but must not call Close or Drain.
type Options struct {
	ProtoLib   string // name of a protocol, or the path of a DeepStream adaptor that stands for it
	ConnStr    string // as the protocol writes it
	ConfigPath string // key file with the group [message-broker]; "" means none
	Topic      string // default topic; wins over those of ConnStr and of the configuration

	// Of a shared connection those of the first user hold.
	MaxMessages int   // messages without an answer of the server, in memory; 0 means DefaultMaxMessages
	MaxBytes    int64 // bytes of them (topic, key, payload and headers); 0 means DefaultMaxBytes
	FullPolicy  FullPolicy
	Spool       Spool
	Reconnect   Reconnect
	NoHeaders   bool // messages go without the headers that name session and sequence number
	// ReceiveOnly refuses Publish. A link that is not shared then has no producer at all.
	ReceiveOnly bool

	// StrictConfig makes an unknown key or option an error of Connect; otherwise it is a warning to Log. Of a
	// shared connection it is the first user's.
	StrictConfig bool

	Log       func(adapters.LogEntry)
	OnState   func(StateChange)
	OnDropped func(DropReport) // at most once a second
	// OnResults is told the final word on messages, those of other users of a shared link included: whoever
	// cares publishes with PublishSeq. Unlike the other callbacks it is called by a goroutine of the adapter,
	// which it must not hold up, and possibly before PublishSeq has returned. What is left at Close, and what
	// was given up in the spool, has no result.
	OnResults func([]adapters.Result)
	// OnClosed is the very last call of a connection that Connect has given: usually before Close returns,
	// later if another callback still runs then. After it nothing of the caller's is used any more.
	OnClosed func()
}

// A Message is what Publish takes. Nothing of it is kept after the call.
type Message struct {
	Topic       string // "" means the default topic
	Key         []byte // nil or empty means none
	Payload     []byte
	Headers     adapters.Headers // nil means none; a protocol without headers leaves them out
	TimestampMS int64            // milliseconds since 1970 UTC; 0 means now
}

// A Connection sends messages to a server, alone or over a link that it shares with others. Its methods
// are safe for use by many goroutines.
type Connection struct {
	l      *link
	opts   Options
	topic  string
	notify notifier
	left   chan struct{} // closed by Close
	gone   chan struct{} // closed when it has ended
}

// Connect validates everything that can be validated without the server, opens the spool, and starts to
// connect in the background. Its errors are mistakes of configuration; a server that is away is none.
//
// If the configuration says share-connection=1, connections of equal protocol, server and configuration
// are one, which ends when the last of them is closed.
func Connect(opts Options) (*Connection, error) {
	name, substituted, err := adapters.ResolveProtoLib(opts.ProtoLib)
	if err != nil {
		return nil, err
	}
	a, _ := adapters.Lookup(name)
	return connect(opts, a, substituted)
}

func connect(opts Options, a adapters.Adapter, substituted bool) (*Connection, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	key, topic, err := signature(opts, a)
	if err != nil {
		return nil, err
	}
	c := &Connection{opts: opts, topic: topic, left: make(chan struct{}), gone: make(chan struct{})}
	c.notify.prepare(c)
	if key == "" {
		c.l, err = newLink(c, a, substituted, "")
	} else {
		err = registry.join(key, c, func() (*link, error) { return newLink(c, a, substituted, key) })
	}
	if err != nil {
		c.opts.OnClosed = nil
	}
	c.notify.start()
	if err != nil {
		c.notify.finish(context.Background()) // log lines are told also then
		return nil, err
	}
	return c, nil
}

// DefaultTopic is where messages without a topic go; "" when there is no such topic.
func (c *Connection) DefaultTopic() string {
	switch {
	case c.opts.Topic != "":
		return c.opts.Topic
	case c.topic != "":
		return c.topic
	}
	return c.l.info.Topic
}

// PartitionKey is the path of the field that is to become the key, as the configuration names it; ""
// when it does not.
func (c *Connection) PartitionKey() string { return c.l.info.PartitionKey }

// Protocol is the adapter in use.
func (c *Connection) Protocol() adapters.Adapter { return c.l.adapter }

// Shared reports whether others may use the same link.
func (c *Connection) Shared() bool { return c.l.key != "" }

// isClosed reports that Close was called.
func (c *Connection) isClosed() bool {
	select {
	case <-c.left:
		return true
	default:
		return false
	}
}
