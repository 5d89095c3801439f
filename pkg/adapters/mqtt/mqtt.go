// SPDX-License-Identifier: LGPL-2.1-or-later

// Package mqtt carries messages to MQTT servers, versions 5 and 3.1.1, and brings messages from them.
//
// With QoS 1 (the default) and 2 a message counts as acknowledged when the server says so; after a lost
// connection everything without an acknowledgement is sent again, in order. With QoS 0 it counts as soon as
// it is with the network, and may be lost. Keys of messages and timestamps have no place in MQTT; headers
// are user properties (MQTT 5 alone).
package mqtt

import (
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt/engine"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

func init() { adapters.Register(adapter{}) }

type adapter struct{}

// Name is "mqtt".
func (adapter) Name() string { return "mqtt" }

// Capabilities of MQTT 5; 3.1.1 has no headers.
func (adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Headers: true, Acknowledged: true, Binary: true, Subscribe: true}
}

// SplitConnStr parts server and topic.
func (adapter) SplitConnStr(connStr string) (servers, topic string, err error) {
	cs, err := parseConnStr(connStr)
	if err != nil {
		return "", "", err
	}
	return cs.servers(), cs.topic, nil
}

// Match knows the wildcards + and #.
func (adapter) Match(pattern, topic string) bool { return engine.Match(pattern, topic) }

// Keys are those of the group [message-broker].
func (adapter) Keys() []settings.Key { return keys }

// Check is Open without a connection.
func (adapter) Check(cfg adapters.Config, log func(adapters.LogEntry)) (adapters.Info, error) {
	o, err := build(cfg, log)
	return o.Info, err
}

// Open checks the connection string, the configuration file and the files that it names, and starts to
// connect in the background.
func (adapter) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	o, err := build(cfg, sink.Log)
	if err != nil {
		return nil, err
	}
	return engine.Open(o, sink), nil
}
