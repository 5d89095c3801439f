// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt/engine"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// What one can subscribe to.
const (
	topicDevicebound = "devicebound" // cloud-to-device messages
	topicMethods     = "methods"     // direct methods; methods/NAME for one
	topicTwin        = "twin"        // changes of the desired properties
	topicTwinFull    = "twin/full"   // the whole twin, at each connection
	topicInputs      = "inputs"      // of a module; inputs/NAME for one
)

const (
	wireMethods = "$iothub/methods/POST/"
	wireTwin    = "$iothub/twin/PATCH/properties/desired/"
	wireTwinRes = "$iothub/twin/res/"
)

// topics translates between the topics of the user and those on the wire.
type topics struct {
	id     *identity
	fixed  []byte // properties of every message, encoded
	module bool

	changes changes
}

// properties encodes those of every message.
func properties(g *settings.Group) ([]byte, error) {
	var b []byte
	for key, name := range map[string]string{"content-type": "$.ct", "content-encoding": "$.ce"} {
		value, err := g.Text(key, "")
		if err != nil {
			return nil, err
		}
		if value != "" {
			b = appendProperty(b, name, value)
		}
	}
	list, err := g.List("custom_msg_properties")
	if err != nil {
		return nil, err
	}
	for _, item := range list {
		name, value, ok := strings.Cut(item, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, g.Errorf("custom_msg_properties", "write name=value;name=value", "an item is not name=value")
		}
		b = appendProperty(b, name, strings.TrimSpace(value))
	}
	if len(b) > 16<<10 {
		return nil, g.Errorf("custom_msg_properties", "shorten them", "the properties take %d bytes, more than 16 KiB", len(b))
	}
	return b, nil
}

// appendProperty appends name=value to a property bag.
func appendProperty[A, B string | []byte](b []byte, name A, value B) []byte {
	if n := len(b); n > 0 && b[n-1] != '/' {
		b = append(b, '&')
	}
	return appendEscaped(append(appendEscaped(b, name), '='), value)
}

// check takes any topic: a device has none, and a module's is the name of an output.
func (t *topics) check(topic string) error {
	if len(topic) > 1024 {
		return fmt.Errorf("the topic has %d bytes, at most 1024 are possible", len(topic))
	}
	return nil
}

// publish makes the topic of a message: the events of the device with the properties at its end.
func (t *topics) publish(b []byte, m engine.Outgoing) []byte {
	b = append(append(b, t.id.base()...), "/messages/events/"...)
	if t.module && len(m.Topic) > 0 {
		b = appendProperty(b, "$.on", m.Topic)
	}
	if len(t.fixed) > 0 {
		if b[len(b)-1] != '/' {
			b = append(b, '&')
		}
		b = append(b, t.fixed...)
	}
	m.Headers.Each(func(name, value []byte) bool {
		b = appendProperty(b, name, value)
		return true
	})
	if m.Session != 0 {
		var text [20]byte
		session := engine.AppendSession(text[:0], m.Session)
		b = appendProperty(b, adapters.SessionHeader, session[2:])
		b = appendProperty(b, adapters.NumberHeader, strconv.AppendUint(text[:0], m.Number, 10))
	}
	return b
}

// filter makes the filter of a topic that one subscribes to; IoT Hub has no groups.
func (t *topics) filter(topic, _ string) (string, error) {
	name, _, _ := strings.Cut(topic, "/")
	switch {
	case topic == topicDevicebound && !t.module:
		return t.id.base() + "/messages/devicebound/#", nil
	case topic == topicInputs && t.module:
		return t.id.base() + "/inputs/#", nil
	case name == topicInputs && t.module:
		return t.id.base() + "/" + topic + "/#", nil
	case name == topicMethods:
		return wireMethods + "#", nil
	case topic == topicTwin:
		return wireTwin + "#", nil
	case topic == topicTwinFull:
		return wireTwinRes + "#", nil
	}
	known := "devicebound, methods, twin, twin/full"
	if t.module {
		known = "inputs, methods, twin, twin/full"
	}
	return "", fmt.Errorf("IoT Hub has nothing to subscribe to that is called %q; known are %s", topic, known)
}

// incoming turns what the hub sends into what the user subscribed to.
func (t *topics) incoming(m *adapters.Incoming, send engine.Sender) bool {
	wire := m.Topic
	if rest, ok := strings.CutPrefix(wire, t.id.base()+"/messages/devicebound/"); ok {
		m.Topic, m.Headers = topicDevicebound, bag(rest)
		return true
	}
	if rest, ok := strings.CutPrefix(wire, t.id.base()+"/inputs/"); ok {
		name, properties, _ := strings.Cut(rest, "/")
		m.Topic, m.Headers = topicInputs+"/"+name, bag(properties)
		return true
	}
	path, query, _ := strings.Cut(wire, "/?")
	values := bag(strings.TrimPrefix(query, "?"))
	rid, _ := values.Get("$rid")
	switch {
	case strings.HasPrefix(path, wireMethods):
		name, err := url.PathUnescape(strings.TrimPrefix(path, wireMethods))
		if err != nil || name == "" || len(rid) == 0 {
			return false
		}
		m.Topic = topicMethods + "/" + name
		m.Reply = reply(string(rid), send)
		return true
	case strings.HasPrefix(path, strings.TrimSuffix(wireTwin, "/")):
		m.Topic = topicTwin
		if v, ok := values.Get("$version"); ok {
			t.changes.came(string(v))
			m.Headers = m.Headers.Append("version", v)
		}
		return true
	case strings.HasPrefix(path, wireTwinRes):
		m.Topic = topicTwinFull
		status := strings.TrimPrefix(path, wireTwinRes)
		m.Headers = m.Headers.AppendString("status", status)
		return t.changes.answered(m, status)
	}
	return false
}

// reply answers a direct method. IoT Hub wants JSON, or nothing.
func reply(rid string, send engine.Sender) func(int, []byte) error {
	var answered atomic.Bool
	return func(status int, payload []byte) error {
		switch {
		case status == 0:
			status = 200
		case status < 0 || status > 1<<31-1:
			return fmt.Errorf("the status %d of an answer is out of range; use one as in HTTP", status)
		}
		if payload = bytes.TrimSpace(payload); len(payload) > 0 && !json.Valid(payload) {
			return errors.New("the answer to a direct method is not JSON; IoT Hub takes nothing else")
		}
		if len(payload) > 128<<10 {
			return fmt.Errorf("the answer of %d bytes is larger than the 128 KiB that IoT Hub takes", len(payload))
		}
		if answered.Swap(true) {
			return errors.New("the direct method has its answer already")
		}
		return send(fmt.Sprintf("$iothub/methods/res/%d/?$rid=%s", status, url.QueryEscape(rid)), payload)
	}
}

// granted asks for the whole twin once its answers would come.
func (t *topics) granted(topic string, send engine.Sender) {
	if topic == topicTwinFull {
		_ = send("$iothub/twin/GET/?$rid=t"+strconv.FormatUint(t.changes.ask(), 10), nil) // it cannot be full yet
	}
}

// bag decodes the properties of a message.
func bag(text string) (h adapters.Headers) {
	for item := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(strings.TrimSuffix(item, "/"), "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			n, v = name, value
		}
		if n != "" {
			h = h.AppendString(n, v)
		}
	}
	return h
}
