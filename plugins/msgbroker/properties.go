// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"math"
	"slices"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
)

// Defaults of the properties of ours.
const (
	defaultDrainTimeout = 5000 // ms
	defaultBlockTimeout = 1000 // ms
)

// settings are the properties.
type settings struct {
	protoLib, connStr, config, topic string
	topicTemplate, keyTemplate       string
	messageHeaders                   string
	compID, sleepTime                uint32
	drainTimeout, blockTimeout       uint32
	maxMessages                      uint32
	maxBytes                         uint64
	newAPI, headers                  bool
	spoolDir, reconnectConfig        string
	fullPolicy, spoolMode, spoolSync gst.Enum
	spoolBytes                       uint64
	spoolAge                         uint32 // s
	// Cloud to device: receive.go and commands.go.
	subscribeTopics, consumerGroup                    string
	commandTopics, consumers, recordElement, allowSet string
}

var fullPolicies = &gst.EnumType{
	Name: "GstMsgBrokerFullPolicy",
	Values: []gst.EnumValue{
		{Value: int32(broker.Block), Name: "Hold the stream back up to block-timeout while connected, then drop the newest", Nick: "block"},
		{Value: int32(broker.DropNewest), Name: "Drop the newest message", Nick: "drop-newest"},
		{Value: int32(broker.DropOldest), Name: "Drop the oldest messages that the protocol's client does not have yet", Nick: "drop-oldest"},
	},
}

var spoolModes = &gst.EnumType{
	Name: "GstMsgBrokerSpoolMode",
	Values: []gst.EnumValue{
		{Value: int32(broker.SpoolOverflow), Name: "When memory fills, while the broker is away, and at stop", Nick: "overflow"},
		{Value: int32(broker.SpoolAlways), Name: "Every message, before it counts as accepted", Nick: "always"},
	},
}

var spoolSyncs = &gst.EnumType{
	Name: "GstMsgBrokerSpoolSync",
	Values: []gst.EnumValue{
		{Value: int32(spool.SyncNone), Name: "When the system likes", Nick: "none"},
		{Value: int32(spool.SyncInterval), Name: "Every 200 ms", Nick: "interval"},
		{Value: int32(spool.SyncBatch), Name: "After every batch that is written", Nick: "batch"},
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

// routeProp makes a property that says where messages go, changeable while playing.
func routeProp(name, blurb string, f func(*settings) *string) gst.Property {
	get, set := field(f)
	return gst.StringProp(name, blurb, "", gst.MutablePlaying, get, func(s *sink, v string) {
		set(s, v)
		s.reroute()
	})
}

func uintProp(name, blurb string, high, def uint32, f func(*settings) *uint32) gst.Property {
	get, set := field(f)
	return gst.UintProp(name, blurb, 0, high, def, gst.MutableReady, get, set)
}

func bytesProp(name, blurb string, def uint64, f func(*settings) *uint64) gst.Property {
	get, set := field(f)
	return gst.Uint64Prop(name, blurb, 0, math.MaxInt64, def, gst.MutableReady, get, set)
}

func boolProp(name, blurb string, def bool, f func(*settings) *bool) gst.Property {
	get, set := field(f)
	return gst.BoolProp(name, blurb, def, gst.MutableReady, get, set)
}

func enumProp(name, blurb string, t *gst.EnumType, def gst.Enum, f func(*settings) *gst.Enum) gst.Property {
	get, set := field(f)
	return gst.EnumProp(name, blurb, t, def, gst.MutableReady, get, set)
}

func properties() []gst.Property {
	getTopic, _ := field(func(s *settings) *string { return &s.topic })
	getComp, setComp := field(func(s *settings) *uint32 { return &s.compID })
	getConn, setConn := field(func(s *settings) *string { return &s.connStr })
	return slices.Concat([]gst.Property{
		stringProp("proto-lib", brokerside.ProtoLibBlurb(), func(s *settings) *string { return &s.protoLib }),
		gst.StringProp("conn-str", brokerside.ConnStrBlurb, "", gst.MutableReady, func(s *sink) string { return adapters.ShowConnStr(getConn(s)) }, setConn),
		stringProp("config", "Key file with the protocol's options in the group [message-broker]", func(s *settings) *string { return &s.config }),
		gst.StringProp("topic", "Topic of the messages; default: the third part of conn-str", "", gst.MutablePlaying, getTopic, (*sink).setTopic),
		routeProp("topic-template", "Topic made of fields of the message, as in cameras.{sensor.id|unknown}; a message without such a field goes to topic",
			func(s *settings) *string { return &s.topicTemplate }),
		routeProp("key-template", "Key made of fields of the message, as in {sensor.id}-{object.id}; default: the field that partition-key of config "+
			"names, else the id of the sensor", func(s *settings) *string { return &s.keyTemplate }),
		routeProp("message-headers", "Headers of each message, where the protocol has headers: NAME=VALUE, separated by semicolons; "+
			"values may have fields of the message in them, as in site=dock 7;camera={sensor.id}", func(s *settings) *string { return &s.messageHeaders }),
		gst.UintProp("comp-id", "Publish only messages with this component mark, which msgconv's comp-id sets (0 = all)",
			0, math.MaxUint32, 0, gst.MutablePlaying, getComp, func(s *sink, v uint32) { setComp(s, v); s.compID.Store(v) }),
		boolProp("new-api", "Kept for nvmsgbroker's command lines: both values use the same connection, which always reconnects",
			false, func(s *settings) *bool { return &s.newAPI }),
		uintProp("sleep-time", "Kept for nvmsgbroker's command lines: milliseconds between two polls of a protocol library; the built-in ones are not polled",
			math.MaxUint32, 0, func(s *settings) *uint32 { return &s.sleepTime }),
		uintProp("drain-timeout", "How long EOS, and stopping while connected, wait for acknowledgements, in milliseconds",
			math.MaxInt32, defaultDrainTimeout, func(s *settings) *uint32 { return &s.drainTimeout }),
		enumProp("full-policy", "What happens when the queue, and the spool if there is one, are full", fullPolicies, gst.Enum(broker.Block),
			func(s *settings) *gst.Enum { return &s.fullPolicy }),
		uintProp("block-timeout", "With full-policy=block: how long a full queue may hold the stream back while the broker is connected, in milliseconds, "+
			"before its newest message is dropped and counted (0 = not at all)", math.MaxInt32, defaultBlockTimeout, func(s *settings) *uint32 { return &s.blockTimeout }),
		uintProp("max-queue-messages", "How many messages may be in memory, waiting for the broker or its acknowledgement (0 = the default)",
			math.MaxInt32, broker.DefaultMaxMessages, func(s *settings) *uint32 { return &s.maxMessages }),
		bytesProp("max-queue-bytes", "How many bytes of messages may be in memory, waiting for the broker or its acknowledgement (0 = the default)",
			broker.DefaultMaxBytes, func(s *settings) *uint64 { return &s.maxBytes }),
		stringProp("spool-dir", "Folder, for this connection alone, that keeps messages on disk; it is made if necessary. Without it there is no spool",
			func(s *settings) *string { return &s.spoolDir }),
		enumProp("spool-mode", "When messages go to disk", spoolModes, gst.Enum(broker.SpoolOverflow), func(s *settings) *gst.Enum { return &s.spoolMode }),
		bytesProp("spool-max-bytes", "How many bytes the spool's files may have, 1048576 at least (0 = the default)", spool.DefaultMaxBytes,
			func(s *settings) *uint64 { return &s.spoolBytes }),
		uintProp("spool-max-age", "After how many seconds in the spool a message is given up (0 = never)", math.MaxInt32, 0,
			func(s *settings) *uint32 { return &s.spoolAge }),
		enumProp("spool-sync", "When what was written is forced to the medium, so that it survives a power cut", spoolSyncs, gst.Enum(spool.SyncInterval),
			func(s *settings) *gst.Enum { return &s.spoolSync }),
		stringProp("reconnect-config", "Key file with the group [nvmsgbroker], such as DeepStream's cfg_nvmsgbroker.txt, that says how to reconnect; "+
			"default: the file that the environment's EDGEWIRE_RECONNECT_CONFIG names", func(s *settings) *string { return &s.reconnectConfig }),
		boolProp("sequence-headers", "Give each message headers with the session and its number in it, where the protocol has headers",
			true, func(s *settings) *bool { return &s.headers }),
		gst.StringProp[sink]("state", "State of the connection: closed, connecting, connected, reconnecting or failed; changes are notified",
			"closed", 0, (*sink).stateName, nil),
		gst.BoxedProp[sink, gst.Structure]("stats", "Counters and state of the connection: queued, spooled, sent, acknowledged, failed, dropped, bytes, state, last-error …",
			gst.TypeStructure, 0, (*sink).stats, nil),
	}, receivingProperties(), commandProperties())
}
