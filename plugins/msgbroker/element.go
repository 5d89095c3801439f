// SPDX-License-Identifier: LGPL-2.1-or-later

// Package msgbroker is the element msgbroker, which publishes messages to a
// broker. Interface mirrored: nvmsgbroker of DeepStream 9.1.
// Documentation: docs/msgbroker.md.
package msgbroker

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/payloadmeta"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/cloud"
)

var log = gst.NewCategory("msgbroker", "messages to a broker")

type sink struct {
	*gst.Element

	// Lock order: mu is taken alone. It is never held while the broker or
	// GStreamer is called.
	mu       sync.Mutex
	set      settings
	conn     *broker.Connection // nil below PAUSED
	last     broker.Stats       // of the connection that was closed last
	commands *commands          // nil below PAUSED, and without commands
	told     *commands          // the same, but also after the stop: for stats

	flushing chan struct{} // closed by Unlock: ends every wait on the streaming thread
	topic    atomic.Pointer[string]
	compID   atomic.Uint32
	router   atomic.Pointer[router] // nil: nothing to do
	rules    adapters.TopicRules    // under mu

	// Of the streaming thread.
	routing   routing
	reader    payloadmeta.Reader
	nvds      batchReader
	wholes    bool   // the caps say that each buffer is a message …
	wholeType string // … of this type
	caps      string // for messages to the user
	buffers   uint64 // since the last READY
	messages  uint64

	reporter *brokerside.Reporter
	disk     brokerside.Throttle
	receiver *receiver      // of the open connection, if it subscribes
	hooks    []hook         // set by New
	closed   chan struct{}  // made by open, closed by close
	watchers sync.WaitGroup // of watchEOS
}

// Class describes the element.
var Class = class("GstMsgBroker", false)

// nvClass is the same element under DeepStream's names, with the defaults that
// GstBaseSink has and nvmsgbroker keeps.
var nvClass = class("GstNvMsgBroker", true)

func class(name string, reference bool) *gst.Class {
	return &gst.Class{
		Name:     name,
		Parent:   gst.ParentBaseSink,
		LongName: "Message Broker",
		Klass:    "Sink/Metadata",
		Description: "Publishes the messages that msgconv attached, or buffers of JSON, text or protobuf, " +
			"to a message broker. The stream never waits for the network",
		Author: "The gst-edgewire maintainers",
		Pads: []gst.PadTemplate{
			{Name: "sink", Direction: gst.PadSink, Presence: gst.PadAlways, Caps: "ANY"},
		},
		Properties: properties(),
		Signals: slices.Concat([]gst.Signal{{
			Name: "publish", Action: true, Return: gst.TypeBool,
			Params: []gst.Type{gst.TypeString, gst.TypeBytes()},
			Handler: func(inst any, args []any) any {
				topic, _ := args[0].(string)
				data, ok := args[1].([]byte)
				return ok && inst.(*sink).publishAction(topic, data)
			},
		}}, receivingSignals(), cloud.Signals((*sink).running)),
		Proto: (*sink)(nil),
		New: func(e *gst.Element) any {
			// A sink that waits for a first buffer hangs live and tee'd pipelines in
			// PAUSED, and messages have no time to be rendered at.
			if !reference {
				e.SetSync(false)
				e.SetAsync(false)
				e.SetLastSample(false)
			}
			s := &sink{Element: e, flushing: make(chan struct{}), set: settings{
				drainTimeout: defaultDrainTimeout, blockTimeout: defaultBlockTimeout,
				maxMessages: broker.DefaultMaxMessages, maxBytes: broker.DefaultMaxBytes,
				spoolBytes: spool.DefaultMaxBytes, spoolSync: gst.Enum(spool.SyncInterval), headers: true,
			}}
			s.reporter = &brokerside.Reporter{Element: e, Name: "msgbroker", Category: log,
				Away: "Messages wait and are sent as soon as the broker answers."}
			empty := ""
			s.topic.Store(&empty)
			return s
		},
	}
}

// Register registers the element factory msgbroker.
func Register(p gst.Plugin) error { return register(p, "msgbroker", gst.RankNone, Class) }

// RegisterDeepStream registers the element factory nvmsgbroker.
func RegisterDeepStream(p gst.Plugin) error {
	return register(p, "nvmsgbroker", gst.RankPrimary, nvClass)
}

func register(p gst.Plugin, factory string, rank gst.Rank, class *gst.Class) error {
	if err := payloadmeta.Register(); err != nil {
		return err
	}
	return p.Register(factory, rank, class)
}

// setTopic takes effect with the next message. Blanks around a topic are dropped, as in the reference.
func (s *sink) setTopic(topic string) {
	topic = strings.TrimSpace(topic)
	s.mu.Lock()
	s.set.topic = topic
	s.mu.Unlock()
	s.topic.Store(&topic)
}

// ownTopic is where messages go that no template sends elsewhere.
func (s *sink) ownTopic(conn *broker.Connection, topic string) string {
	if topic == "" {
		return conn.DefaultTopic()
	}
	return topic
}

// connection is the open connection, nil when stopped.
func (s *sink) connection() *broker.Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

// SetCaps learns whether buffers are messages by themselves.
func (s *sink) SetCaps(in, _ gst.Caps) bool {
	s.caps = in.String()
	s.wholes = false
	if !in.IsAny() && in.Size() > 0 {
		s.wholeType = in.Name(0)
		switch s.wholeType {
		case "application/json", "application/x-protobuf", "text/x-raw":
			s.wholes = true
		}
	}
	log.Log(gst.LevelDebug, s.Element, "caps %s: %s", s.caps,
		map[bool]string{true: "each buffer is a message", false: "messages come as metas"}[s.wholes])
	return true
}

// Render queues the buffer's messages.
func (s *sink) Render(b gst.Buffer) gst.FlowReturn {
	conn := s.connection()
	if conn == nil {
		return gst.FlowFlushing
	}
	s.buffers++
	flow := gst.FlowOK
	want := s.compID.Load()
	err := s.reader.Each(b, s.wholes, func(p payloadmeta.Payload) bool {
		if p.Whole && len(p.Data) == 0 || !p.Whole && want != 0 && p.CompID != want {
			return true
		}
		m := broker.Message{Topic: *s.topic.Load(), Payload: p.Data, Key: bytesOf(p.Key), TimestampMS: p.TimestampMS}
		if r := s.router.Load(); r != nil {
			if p.Whole {
				p.ContentType = s.wholeType
			}
			s.routing.apply(r, &m, &p, s.ownTopic(conn, m.Topic))
		}
		flow = s.queue(conn, &m)
		return flow == gst.FlowOK
	})
	if err != nil {
		s.Error(gst.ResourceRead, "msgbroker: "+err.Error(), "caps "+s.caps)
		return gst.FlowError
	}
	if flow != gst.FlowOK || s.wholes {
		return flow
	}
	return s.renderBatch(conn, b)
}

// bytesOf views a string as bytes, which the connection only reads.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// RenderList queues the messages of a list of buffers.
func (s *sink) RenderList(l gst.BufferList) gst.FlowReturn {
	for i := range l.Len() {
		if flow := s.Render(l.At(i)); flow != gst.FlowOK {
			return flow
		}
	}
	return gst.FlowOK
}

// queue hands a message to the connection. A full queue holds the stream back
// while the broker is there to empty it, and only so long.
func (s *sink) queue(conn *broker.Connection, m *broker.Message) gst.FlowReturn {
	s.messages++
	for {
		s.mu.Lock()
		wait, cancel := time.Duration(s.set.blockTimeout)*time.Millisecond, s.flushing
		s.mu.Unlock()
		var err error
		if wait == 0 {
			err = conn.Publish(*m)
		} else {
			err = conn.PublishWait(*m, wait, cancel)
		}
		switch err {
		case nil:
			return gst.FlowOK
		case broker.ErrCanceled: // for a flush, a stop, or only for PAUSED
			if flow := s.WaitPreroll(); flow != gst.FlowOK {
				return flow
			}
		default: // counted, and posted by dropped
			log.Log(gst.LevelDebug, s.Element, "message dropped: %v", err)
			return gst.FlowOK
		}
	}
}

// Unlock ends a wait of the streaming thread, for a flush or a stop.
func (s *sink) Unlock(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		select {
		case <-s.flushing:
		default:
			close(s.flushing)
		}
	} else {
		s.flushing = make(chan struct{})
	}
}

// publishAction is the action signal publish.
func (s *sink) publishAction(topic string, data []byte) bool {
	conn := s.connection()
	if conn == nil {
		s.Warning(gst.ResourceFailed, "msgbroker: publish: the element is stopped; bring it to PAUSED or PLAYING first", "")
		return false
	}
	m := broker.Message{Payload: data}
	if topic = strings.TrimSpace(topic); topic == "" {
		m.Topic = *s.topic.Load()
	}
	if r := s.router.Load(); r != nil {
		var w routing
		w.apply(r, &m, &payloadmeta.Payload{Data: data, Whole: true}, s.ownTopic(conn, m.Topic))
	}
	if topic != "" {
		m.Topic = topic
	}
	if err := conn.Publish(m); err != nil {
		log.Log(gst.LevelDebug, s.Element, "publish: message dropped: %v", err)
		return false
	}
	return true
}
