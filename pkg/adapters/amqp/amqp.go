// SPDX-License-Identifier: LGPL-2.1-or-later

// Package amqp carries messages over AMQP 0-9-1 to RabbitMQ and what speaks its dialect. See README.md
// beside it.
//
// github.com/rabbitmq/amqp091-go opens connections and channels, keeps them alive and receives. What is
// published goes past it: our frames are put between its own on the wire, and the confirmations are taken out
// of what it reads (wire). Its own way to publish with confirmations costs several times as much, and grows
// with the number of messages under way.
package amqp

import (
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

func init() { adapters.Register(adapter{}) }

type adapter struct{}

// Name is "amqp".
func (adapter) Name() string { return "amqp" }

// Capabilities of AMQP 0-9-1. Keys travel as a header.
func (adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Keys: true, Timestamps: true, Headers: true, Acknowledged: true, Binary: true, Subscribe: true}
}

// Keys are those of the group [message-broker].
func (adapter) Keys() []settings.Key { return slices.Concat(Keys, settings.TLSKeys) }

// Check is Open without a connection.
func (adapter) Check(cfg adapters.Config, log func(adapters.LogEntry)) (adapters.Info, error) {
	set, err := loadAll(cfg, log)
	if err != nil {
		return adapters.Info{}, err
	}
	return set.info(), nil
}

// Open checks connection string and configuration, and starts to connect in the background.
func (adapter) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	set, err := loadAll(cfg, sink.Log)
	if err != nil {
		return nil, err
	}
	return start(cfg, set, sink), nil
}

func loadAll(cfg adapters.Config, log func(adapters.LogEntry)) (*set, error) {
	set, err := load(cfg, log)
	if err != nil {
		return nil, err
	}
	// What is missing on disk is told now, not with the first connection.
	if _, err := set.tls(set.hosts[0].Host); err != nil {
		return nil, err
	}
	return set, nil
}

// Match compares a topic with a pattern of a topic exchange (AMQP 0-9-1, 3.1.3.3): words between dots, * for
// one word, # for any number of them.
func (adapter) Match(pattern, topic string) bool {
	return match(strings.Split(pattern, "."), strings.Split(topic, "."))
}

func match(pattern, topic []string) bool {
	for i, p := range pattern {
		switch {
		case p == "#":
			for k := i; k <= len(topic); k++ {
				if match(pattern[i+1:], topic[k:]) {
					return true
				}
			}
			return false
		case i >= len(topic) || (p != "*" && p != topic[i]):
			return false
		}
	}
	return len(pattern) == len(topic)
}
