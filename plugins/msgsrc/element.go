// SPDX-License-Identifier: LGPL-2.1-or-later

// Package msgsrc is the element msgsrc, which makes a stream of the messages
// that a broker sends.
// Documentation: docs/msgsrc.md.
package msgsrc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/messagemeta"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
	_ "github.com/gst-edgewire/gst-edgewire/plugins/internal/protocols"
)

var (
	log        = gst.NewCategory("msgsrc", "messages from a broker")
	adapterLog = gst.NewCategory("msgsrc-adapter", "protocol libraries of msgsrc (librdkafka …)")
)

type src struct {
	*gst.Element
	reporter *brokerside.Reporter

	// Lock order: mu is taken alone. It is never held while the broker or
	// GStreamer is called.
	mu   sync.Mutex
	set  settings
	conn *broker.Connection // nil below PAUSED
	last broker.Stats       // of the connection that was closed last

	flushing chan struct{} // closed by Unlock: ends the wait for a message
	pushed   atomic.Uint64

	// Made by Start, used by the streaming thread.
	sub       *broker.Subscription
	afterPush bool
	ending    bool // the last of num-buffers was made

	// What is known of the buffer that was made last; guarded by mu.
	pending  *adapters.Incoming // not acknowledged yet
	unlocked bool               // Unlock was called since it was made, or is in force …
	flushed  bool               // … for a flush
	inForce  bool               // Unlock(true) was the last call …
	forFlush bool               // … for a flush
}

// Class describes the element.
var Class = &gst.Class{
	Name:     "GstMsgSrc",
	Parent:   gst.ParentPushSrc,
	LongName: "Message Source",
	Klass:    "Source/Network",
	Description: "Subscribes to topics of a message broker and makes a buffer of each message. " +
		"Nothing is lost while the broker is away or downstream blocks",
	Author: "The gst-edgewire maintainers",
	Pads: []gst.PadTemplate{
		{Name: "src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "ANY"},
	},
	Properties: properties(),
	Proto:      (*src)(nil),
	New: func(e *gst.Element) any {
		e.SetLive(true)
		e.SetTimeFormat(true)
		s := &src{Element: e, flushing: make(chan struct{}), set: settings{window: adapters.DefaultWindow, fromStart: true,
			caps: gst.NewCaps("application/json")}}
		s.reporter = &brokerside.Reporter{Element: e, Name: "msgsrc", Category: log,
			Away: "The stream goes on as soon as the broker answers."}
		return s
	},
}

// Register registers the element factory msgsrc.
func Register(p gst.Plugin) error {
	if err := messagemeta.Register(); err != nil {
		return err
	}
	return p.Register("msgsrc", gst.RankNone, Class)
}

// Finalize gives the caps back.
func (s *src) Finalize() { s.set.caps.Unref() }

// SrcCaps are the caps of the stream.
func (s *src) SrcCaps() gst.Caps { return s.getCaps() }

// Start opens the connection and subscribes. Only a configuration that can
// never work fails; a broker that is not there is waited for.
func (s *src) Start() bool {
	s.mu.Lock()
	set := s.set
	s.mu.Unlock()
	fail := func(code gst.ErrorCode, text string) bool {
		s.Error(code, "msgsrc: "+text, "")
		return false
	}
	if strings.TrimSpace(set.protoLib) == "" {
		return fail(gst.ResourceNotFound, "proto-lib is not set: name the protocol, as in proto-lib=kafka (known: "+
			strings.Join(adapters.Names(), ", ")+").")
	}
	if strings.TrimSpace(set.connStr) == "" && strings.TrimSpace(set.config) == "" {
		return fail(gst.ResourceNotFound, "neither conn-str nor config is set: say where the broker is, as in conn-str=\"localhost;9092\".")
	}
	if _, _, err := adapters.ResolveProtoLib(strings.TrimSpace(set.protoLib)); err != nil {
		return fail(gst.LibraryInit, err.Error())
	}
	s.reporter.Reset()
	reconnect, err := brokerside.Reconnect(set.reconnectConfig)
	if err != nil {
		return fail(brokerside.SettingsCode(err), err.Error())
	}
	conn, err := broker.Connect(broker.Options{
		ProtoLib: strings.TrimSpace(set.protoLib), ConnStr: strings.TrimSpace(set.connStr), ConfigPath: strings.TrimSpace(set.config),
		Reconnect: reconnect, StrictConfig: true, ReceiveOnly: true,
		Log: func(e adapters.LogEntry) { s.reporter.Log(adapterLog, e) }, OnState: s.reporter.State, OnClosed: s.Unref,
	})
	if err != nil {
		return fail(brokerside.SettingsCode(err), err.Error())
	}
	s.Ref() // the callbacks use the element, and one that hangs in the application outlives Stop
	topics := brokerside.Topics(set.topics)
	if len(topics) == 0 && conn.DefaultTopic() != "" {
		topics = []string{conn.DefaultTopic()}
	}
	if len(topics) == 0 {
		conn.Close(brokerside.Ended)
		return fail(gst.ResourceSettings, "no topic is set: write subscribe-topics=\"NAME;NAME\", or name one as the third part of conn-str.")
	}
	sub, err := conn.Subscribe(broker.SubscribeOptions{Topics: topics, Group: strings.TrimSpace(set.group), Window: int(set.window),
		FromStart: set.fromStart, OnSubscribed: s.reporter.Subscribed})
	if err != nil {
		conn.Close(brokerside.Ended)
		return fail(gst.LibrarySettings, err.Error())
	}
	s.sub, s.afterPush, s.ending = sub, set.commit == commitAfterPush, false
	s.pushed.Store(0)
	s.mu.Lock()
	s.conn, s.pending, s.unlocked, s.flushed = conn, nil, false, false
	s.mu.Unlock()
	return true
}

// Stop closes the connection. What was not acknowledged comes again in the next run.
func (s *src) Stop() bool {
	s.mu.Lock()
	conn := s.conn
	s.conn, s.pending = nil, nil
	s.mu.Unlock()
	if conn == nil {
		return true
	}
	conn.Close(brokerside.Ended) // there is nothing to drain
	stats := conn.Stats()
	s.mu.Lock()
	s.last = stats
	s.mu.Unlock()
	log.Log(gst.LevelInfo, s.Element, "stopped: %d received, %d pushed, %d unacknowledged", stats.Received, s.pushed.Load(), stats.Unacknowledged)
	s.Notify("state")
	out := s.stats()
	out.Name = "msgsrc-stats"
	s.PostMessage(out)
	return true
}

// Unlock ends the wait for a message: for a flush, a pause or a stop.
func (s *src) Unlock(on bool) {
	flush := on && s.SrcFlushing()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !on {
		s.flushing = make(chan struct{})
		s.inForce, s.forFlush = false, false
		return
	}
	s.unlocked, s.inForce = true, true
	s.forFlush = s.forFlush || flush
	s.flushed = s.flushed || flush
	select {
	case <-s.flushing:
	default:
		close(s.flushing)
	}
}

// Create makes a buffer of the next message. When it is called again, what
// became of the buffer before is known: basesrc stops for good when downstream
// refuses one.
func (s *src) Create() (gst.Buffer, gst.FlowReturn) {
	m := s.settle(s.SrcFlow())
	if m == nil && s.ending {
		return gst.Buffer{}, gst.FlowEOS
	}
	if m == nil {
		s.mu.Lock()
		flushing := s.flushing
		s.mu.Unlock()
		next, err := s.sub.Next(brokerside.Flushing{Context: context.Background(), Ended: flushing})
		switch {
		case errors.Is(err, broker.ErrFailed):
			return gst.Buffer{}, gst.FlowError // told by reporter
		case err != nil:
			return gst.Buffer{}, gst.FlowFlushing
		}
		m = &next
	}
	b := messagemeta.Buffer(m)
	if b.IsNil() {
		s.Error(gst.ResourceFailed, "msgsrc: there is no memory for a message of "+m.Topic+".", "")
		return gst.Buffer{}, gst.FlowError
	}
	if s.afterPush {
		s.ending = s.OnceMore()
		s.mu.Lock()
		s.pending, s.unlocked, s.flushed = m, s.inForce, s.forFlush
		s.mu.Unlock()
	} else {
		s.sub.Ack(m)
	}
	s.pushed.Add(1)
	return b, gst.FlowOK
}

// settle acknowledges the message that was pushed last, or returns it because
// it must be pushed again: after a flush nobody knows how far it got.
func (s *src) settle(last gst.FlowReturn) *adapters.Incoming {
	s.mu.Lock()
	m, again := s.pending, s.flushed || (s.unlocked && last != gst.FlowOK)
	s.pending = nil
	s.mu.Unlock()
	if m == nil || again {
		return m
	}
	s.sub.Ack(m)
	return nil
}

// brokerStats are those of the connection, or of the one that was closed last.
func (s *src) brokerStats() (st broker.Stats, protoLib string) {
	s.mu.Lock()
	conn, st, protoLib := s.conn, s.last, s.set.protoLib
	s.mu.Unlock()
	if conn != nil {
		return conn.Stats(), protoLib
	}
	st.State = broker.StateClosed
	return st, protoLib
}

// stateName is the property state.
func (s *src) stateName() string {
	st, _ := s.brokerStats()
	return st.State.String()
}

// stats is the property stats.
func (s *src) stats() gst.Structure {
	st, protoLib := s.brokerStats()
	out := gst.Structure{Name: "application/x-msgsrc-stats"}
	brokerside.AddReceiving(&out, st)
	out.Add("pushed", s.pushed.Load())
	out.Add("reconnects", st.Reconnects)
	out.Add("sessions", st.Sessions)
	brokerside.AddConnection(&out, st, protoLib)
	return out
}
