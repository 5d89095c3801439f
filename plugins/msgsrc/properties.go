// SPDX-License-Identifier: LGPL-2.1-or-later

package msgsrc

import (
	"math"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
)

// When a message is acknowledged to the broker.
const (
	commitAuto      gst.Enum = 0
	commitAfterPush gst.Enum = 1
)

var commits = &gst.EnumType{
	Name: "GstMsgSrcCommit",
	Values: []gst.EnumValue{
		{Value: int32(commitAuto), Name: "When it becomes a buffer", Nick: "auto"},
		{Value: int32(commitAfterPush), Name: "When downstream has taken the buffer", Nick: "after-push"},
	},
}

// settings are the properties.
type settings struct {
	protoLib, connStr, config, reconnectConfig string
	topics, group                              string
	commit                                     gst.Enum
	window                                     uint32
	fromStart                                  bool
	caps                                       gst.Caps
}

// field makes getter and setter of a settings field, under the lock.
func field[V any](f func(*settings) *V) (func(*src) V, func(*src, V)) {
	return func(s *src) V {
			s.mu.Lock()
			defer s.mu.Unlock()
			return *f(&s.set)
		}, func(s *src, v V) {
			s.mu.Lock()
			defer s.mu.Unlock()
			*f(&s.set) = v
		}
}

func stringProp(name, blurb string, f func(*settings) *string) gst.Property {
	get, set := field(f)
	return gst.StringProp(name, blurb, "", gst.MutableReady, get, set)
}

// getCaps hands a reference over.
func (s *src) getCaps() gst.Caps {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set.caps.Ref()
}

// setCaps takes NULL for any caps.
func (s *src) setCaps(c gst.Caps) {
	if c.IsNil() {
		c = gst.NewCaps("ANY")
	} else {
		c.Ref()
	}
	s.mu.Lock()
	old := s.set.caps
	s.set.caps = c
	s.mu.Unlock()
	old.Unref()
}

func properties() []gst.Property {
	getConn, setConn := field(func(s *settings) *string { return &s.connStr })
	getCommit, setCommit := field(func(s *settings) *gst.Enum { return &s.commit })
	getWindow, setWindow := field(func(s *settings) *uint32 { return &s.window })
	getStart, setStart := field(func(s *settings) *bool { return &s.fromStart })
	return []gst.Property{
		stringProp("proto-lib", brokerside.ProtoLibBlurb(), func(s *settings) *string { return &s.protoLib }),
		gst.StringProp("conn-str", brokerside.ConnStrBlurb, "", gst.MutableReady, func(s *src) string { return adapters.ShowConnStr(getConn(s)) }, setConn),
		stringProp("config", "Key file with the protocol's options in the group [message-broker]", func(s *settings) *string { return &s.config }),
		stringProp("subscribe-topics", "Topics to receive, separated by semicolons, in the protocol's syntax for patterns; default: the topic of conn-str",
			func(s *settings) *string { return &s.topics }),
		stringProp("consumer-group", "Consumers of one group share the messages and the place reached; default: the one that config names, or the protocol's",
			func(s *settings) *string { return &s.group }),
		gst.BoolProp("from-start", "Begin with the oldest message that the broker keeps, if the group is new to it, not with the next one",
			true, gst.MutableReady, getStart, setStart),
		gst.EnumProp("commit", "When a message is acknowledged to the broker, which then does not send it again", commits, commitAuto,
			gst.MutableReady, getCommit, setCommit),
		gst.UintProp("window", "How many messages may wait in the element or be without acknowledgement; at the bound reading stops, and nothing is lost",
			1, math.MaxInt32, adapters.DefaultWindow, gst.MutableReady, getWindow, setWindow),
		gst.BoxedProp("caps", "Caps of the buffers, one for each message", gst.TypeCaps, gst.MutableReady, (*src).getCaps, (*src).setCaps),
		stringProp("reconnect-config", "Key file with the group [nvmsgbroker], such as DeepStream's cfg_nvmsgbroker.txt, that says how to reconnect; "+
			"default: the file that the environment's EDGEWIRE_RECONNECT_CONFIG names", func(s *settings) *string { return &s.reconnectConfig }),
		gst.StringProp[src]("state", "State of the connection: closed, connecting, connected, reconnecting or failed; changes are notified",
			"closed", 0, (*src).stateName, nil),
		gst.BoxedProp[src, gst.Structure]("stats", "Counters and state of the connection: received, redelivered, unacknowledged, pushed, state, last-error …",
			gst.TypeStructure, 0, (*src).stats, nil),
	}
}
