// SPDX-License-Identifier: LGPL-2.1-or-later

// Package msgbroker is the element msgbroker, which publishes messages to a
// broker. Interface mirrored: nvmsgbroker of DeepStream 9.1.
// Documentation: docs/msgbroker.md.
package msgbroker

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/payloadmeta"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

var log = gst.NewCategory("msgbroker", "messages to a broker")

// Defaults of the properties of ours.
const (
	defaultDrainTimeout = 5000 // ms
	defaultBlockTimeout = 1000 // ms
)

// settings are the properties.
type settings struct {
	protoLib, connStr, config, topic string
	compID, sleepTime                uint32
	drainTimeout, blockTimeout       uint32
	maxMessages                      uint32
	maxBytes                         uint64
	newAPI                           bool
}

type sink struct {
	*gst.Element

	// Lock order: mu is taken alone. It is never held while the broker or
	// GStreamer is called.
	mu   sync.Mutex
	set  settings
	conn *broker.Connection // nil below PAUSED
	last broker.Stats       // of the connection that was closed last

	flushing chan struct{} // closed by Unlock: ends every wait on the streaming thread
	topic    atomic.Pointer[string]
	compID   atomic.Uint32

	// Of the streaming thread.
	reader   payloadmeta.Reader
	wholes   bool   // the caps say that each buffer is a message
	caps     string // for messages to the user
	buffers  uint64 // since the last READY
	messages uint64

	outages  throttle
	closed   chan struct{}  // made by open, closed by close
	watchers sync.WaitGroup // of watchEOS
}

// Class describes the element.
var Class = &gst.Class{
	Name:     "GstMsgBroker",
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
	Signals: []gst.Signal{{
		Name: "publish", Action: true, Return: gst.TypeBool,
		Params: []gst.Type{gst.TypeString, gst.TypeBytes()},
		Handler: func(inst any, args []any) any {
			topic, _ := args[0].(string)
			data, ok := args[1].([]byte)
			return ok && inst.(*sink).publishAction(topic, data)
		},
	}},
	Proto: (*sink)(nil),
	New: func(e *gst.Element) any {
		// A sink that waits for a first buffer hangs live and tee'd pipelines in
		// PAUSED, and messages have no time to be rendered at.
		e.SetSync(false)
		e.SetAsync(false)
		e.SetLastSample(false)
		s := &sink{Element: e, flushing: make(chan struct{}), set: settings{
			drainTimeout: defaultDrainTimeout, blockTimeout: defaultBlockTimeout,
			maxMessages: broker.DefaultMaxMessages, maxBytes: broker.DefaultMaxBytes,
		}}
		empty := ""
		s.topic.Store(&empty)
		return s
	},
}

// field makes getter and setter of a settings field, under the lock.
func field[V any](f func(*settings) *V) (func(*sink) V, func(*sink, V)) {
	return func(s *sink) V {
			s.mu.Lock()
			defer s.mu.Unlock()
			return *f(&s.set)
		}, func(s *sink, v V) {
			s.mu.Lock()
			defer s.mu.Unlock()
			*f(&s.set) = v
		}
}

func stringProp(name, blurb string, f func(*settings) *string) gst.Property {
	get, set := field(f)
	return gst.StringProp(name, blurb, "", gst.MutableReady, get, set)
}

func uintProp(name, blurb string, high, def uint32, f func(*settings) *uint32) gst.Property {
	get, set := field(f)
	return gst.UintProp(name, blurb, 0, high, def, gst.MutableReady, get, set)
}

func properties() []gst.Property {
	getNew, setNew := field(func(s *settings) *bool { return &s.newAPI })
	getBytes, setBytes := field(func(s *settings) *uint64 { return &s.maxBytes })
	getTopic, _ := field(func(s *settings) *string { return &s.topic })
	getComp, setComp := field(func(s *settings) *uint32 { return &s.compID })
	return []gst.Property{
		stringProp("proto-lib", "Protocol: a built-in name (kafka), or the path of DeepStream's library for it (…/libnvds_kafka_proto.so), "+
			"which stands for the built-in one", func(s *settings) *string { return &s.protoLib }),
		stringProp("conn-str", "Where the broker is: HOST;PORT or HOST;PORT;TOPIC", func(s *settings) *string { return &s.connStr }),
		stringProp("config", "Key file with the protocol's options in the group [message-broker]", func(s *settings) *string { return &s.config }),
		gst.StringProp("topic", "Topic of the messages; default: the third part of conn-str", "", gst.MutablePlaying, getTopic, (*sink).setTopic),
		gst.UintProp("comp-id", "Publish only messages with this component mark, which msgconv's comp-id sets (0 = all)",
			0, math.MaxUint32, 0, gst.MutablePlaying, getComp, func(s *sink, v uint32) { setComp(s, v); s.compID.Store(v) }),
		gst.BoolProp("new-api", "Kept for nvmsgbroker's command lines: both values use the same connection, which always reconnects",
			false, gst.MutableReady, getNew, setNew),
		uintProp("sleep-time", "Kept for nvmsgbroker's command lines: milliseconds between two polls of a protocol library; the built-in ones are not polled",
			math.MaxUint32, 0, func(s *settings) *uint32 { return &s.sleepTime }),
		uintProp("drain-timeout", "How long EOS, and stopping while connected, wait for acknowledgements, in milliseconds",
			math.MaxInt32, defaultDrainTimeout, func(s *settings) *uint32 { return &s.drainTimeout }),
		uintProp("block-timeout", "How long a full queue may hold the stream back while the broker is connected, in milliseconds, "+
			"before its newest message is dropped and counted (0 = not at all)", math.MaxInt32, defaultBlockTimeout, func(s *settings) *uint32 { return &s.blockTimeout }),
		uintProp("max-queue-messages", "How many messages may wait for the broker or its acknowledgement (0 = the default)",
			math.MaxInt32, broker.DefaultMaxMessages, func(s *settings) *uint32 { return &s.maxMessages }),
		gst.Uint64Prop("max-queue-bytes", "How many bytes of messages may wait for the broker or its acknowledgement (0 = the default)",
			0, math.MaxInt64, broker.DefaultMaxBytes, gst.MutableReady, getBytes, setBytes),
		gst.BoxedProp[sink, gst.Structure]("stats", "Counters and state of the connection: queued, sent, acknowledged, failed, dropped, bytes, state, last-error …",
			gst.TypeStructure, 0, (*sink).stats, nil),
	}
}

// Register registers the element factory msgbroker.
func Register(p gst.Plugin) error {
	if err := payloadmeta.Register(); err != nil {
		return err
	}
	return p.Register("msgbroker", gst.RankNone, Class)
}

// setTopic takes effect with the next message. Blanks around a topic are dropped, as in the reference.
func (s *sink) setTopic(topic string) {
	topic = strings.TrimSpace(topic)
	s.mu.Lock()
	s.set.topic = topic
	s.mu.Unlock()
	s.topic.Store(&topic)
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
		switch in.Name(0) {
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
		flow = s.queue(conn, broker.Message{Payload: p.Data, Key: bytesOf(p.Key), TimestampMS: p.TimestampMS})
		return flow == gst.FlowOK
	})
	if err != nil {
		s.Error(gst.ResourceRead, "msgbroker: "+err.Error(), "caps "+s.caps)
		return gst.FlowError
	}
	return flow
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
func (s *sink) queue(conn *broker.Connection, m broker.Message) gst.FlowReturn {
	s.messages++
	m.Topic = *s.topic.Load()
	for {
		s.mu.Lock()
		wait, cancel := time.Duration(s.set.blockTimeout)*time.Millisecond, s.flushing
		s.mu.Unlock()
		var err error
		if wait == 0 {
			err = conn.Publish(m)
		} else {
			err = conn.PublishWait(m, wait, cancel)
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
	if topic = strings.TrimSpace(topic); topic == "" {
		topic = *s.topic.Load()
	}
	if err := conn.Publish(broker.Message{Topic: topic, Payload: data}); err != nil {
		log.Log(gst.LevelDebug, s.Element, "publish: message dropped: %v", err)
		return false
	}
	return true
}
