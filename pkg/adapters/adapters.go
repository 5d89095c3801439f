// SPDX-License-Identifier: LGPL-2.1-or-later

// Package adapters is the contract between a connection (package broker) and the protocols that carry
// its messages, and the registry of those protocols.
//
// An adapter is small: it turns batches into whatever its protocol sends, and reports what the server
// acknowledged and how the connection fares. Queueing, counting, back-pressure and draining are the
// connection's work. Package adaptertest holds the tests that every adapter passes.
package adapters

import (
	"context"
	"errors"
	"strings"
	"time"
)

// State is what an adapter knows about its connection to the server.
type State int

// The states that an adapter reports.
const (
	Connecting   State = iota // not connected yet
	Connected                 // the server answers
	Disconnected              // the server does not answer; the adapter keeps trying by itself
	Failed                    // this Conn is beyond repair; only a new Open can help
)

// String is the lower-case name of the state.
func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Disconnected:
		return "disconnected"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// A StateEvent is one change of State.
type StateEvent struct {
	State  State
	Host   string // the server that is meant, as host:port or a list of them
	Reason string // why, for a person; "" when connected. Never holds a secret
	Time   time.Time

	// Of a Conn that is not connected: how many attempts in a row have failed, and the longest that it may
	// take until the next one; 0 when the protocol's library does not tell.
	Attempt int
	Next    time.Duration
}

// LogLevel orders LogEntry by weight.
type LogLevel int

// The levels, heaviest first.
const (
	LogError LogLevel = iota
	LogWarning
	LogInfo
	LogDebug
)

// String is the lower-case name of the level.
func (l LogLevel) String() string {
	switch l {
	case LogError:
		return "error"
	case LogWarning:
		return "warning"
	case LogInfo:
		return "info"
	}
	return "debug"
}

// A LogEntry is a line for the log of the host. It never holds a secret.
type LogEntry struct {
	Level    LogLevel
	Facility string // the part that speaks, such as "kafka" or librdkafka's own facility
	Text     string
}

// A Result is the final word on one message.
type Result struct {
	Seq uint64
	Err error // nil means acknowledged by the server; else a *DeliveryError
}

// A Sink takes what an adapter reports. Its methods are called outside all locks of the adapter, from any
// of its goroutines or from within Publish, and must not wait for the adapter.
type Sink interface {
	Done([]Result) // the slice is the adapter's again after the call
	State(StateEvent)
	Log(LogEntry)
}

// Info is what an opened Conn knows without asking the server.
type Info struct {
	Host         string // the servers, as host:port or a list of them
	Topic        string // default topic from the connection string or the configuration; may be ""
	PartitionKey string // path of the field that is to become the key, as configured; may be ""
}

// A Conn is an open connection to a server, or to one that is yet to appear.
// Publish and Flush are called by one goroutine at a time. Close may be called by any, at any time, and again: it is
// over for all of them when it comes back.
type Conn interface {
	// Publish takes messages of b from index from on, in order, and copies them; b may be reused after
	// the call. It never waits for the network. n is how many were taken: each of these gets exactly one
	// Result, also when it is refused for good. n short with a nil error means that the adapter is full:
	// Done or State wakes the caller. An error means that the Conn is Failed.
	Publish(b *Batch, from int) (n int, err error)
	// Flush waits until every message taken has its Result, or until ctx ends, whose error it returns.
	Flush(ctx context.Context) error
	// Close ends the connection within half a second. Messages without a Result have none afterwards,
	// and no method of the Sink is called after it returns.
	Close() error
	// Info is valid from Open on.
	Info() Info
}

// Config is what a user says about a connection.
type Config struct {
	ConnStr     string // the protocol's connection string, such as host;port;topic
	ConfigPath  string // a key file with the group [message-broker]; "" means none
	Strict      bool   // an unknown key is an error; otherwise a warning through Sink.Log
	MaxMessages int    // how many messages the caller keeps under way at most; 0 means the default of the protocol
	ReceiveOnly bool   // the Conn will not publish: what only publishing needs is not made

	// The pause between two attempts to connect grows from the first to the second, with jitter; 0 means
	// the default of the protocol. What the user says in the protocol's own options wins.
	RetryInterval, MaxRetryInterval time.Duration
}

// Capabilities says what a protocol can carry.
type Capabilities struct {
	Keys         bool // messages may have a key
	Timestamps   bool // messages may have a timestamp
	Headers      bool // messages have headers: Session and Number arrive as SessionHeader and NumberHeader
	Acknowledged bool // Result{Err: nil} means that the server has taken the message
	Binary       bool // payloads may hold any bytes
	Subscribe    bool // its Conns are Consumers
	Retained     bool // a message published before a group subscribed can still be had (SubscribeConfig.FromStart)
	Transactions bool // a batch can be made visible as a whole or not at all
}

// An Adapter makes connections of one protocol.
type Adapter interface {
	Name() string
	Capabilities() Capabilities
	// Open validates everything that can be validated here and never waits for the network. An absent
	// server is not an error. The Sink may be called before Open returns.
	Open(Config, Sink) (Conn, error)
}

// A Splitter is an Adapter whose connection strings name a topic beside the servers. Connections to the same
// servers can be shared, whatever their topics.
type Splitter interface {
	SplitConnStr(connStr string) (servers, topic string, err error)
}

// What a DeliveryError can be about, for errors.Is.
var (
	ErrUnknownTopic = errors.New("unknown topic")
	ErrTooLarge     = errors.New("message too large")
	ErrUnauthorized = errors.New("not authorised")
	ErrExpired      = errors.New("message timed out")
	ErrPurged       = errors.New("given up when the connection was closed")
	ErrRejected     = errors.New("rejected")
)

// A DeliveryError says why a message was refused for good: what, where, why, and what to do about it.
type DeliveryError struct {
	Kind   error  // one of the errors above
	Topic  string // "" when no topic is meant
	Host   string
	Cause  string // why, in words
	Remedy string // what to do; may be ""
}

// Error renders `topic T on HOST: cause; remedy`.
func (e *DeliveryError) Error() string {
	var b strings.Builder
	if e.Topic != "" {
		b.WriteString("topic " + e.Topic)
		if e.Host != "" {
			b.WriteString(" on ")
		}
	}
	b.WriteString(e.Host)
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(e.Cause)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Unwrap returns Kind.
func (e *DeliveryError) Unwrap() error { return e.Kind }
