// SPDX-License-Identifier: LGPL-2.1-or-later

// Package kafka carries messages to Apache Kafka and what speaks its protocol, through librdkafka.
//
// One call into C produces a whole batch, one goroutine per connection collects delivery reports in
// batches; librdkafka's threads never enter Go. With the build tag dynamic the package links the private
// librdkafka of the shared core, otherwise the static one that the module confluent-kafka-go carries.
//
// Unless proto-cfg says otherwise the producer is idempotent (enable.idempotence=true, acks=all) and
// retries for ever (message.timeout.ms=0), so that an outage neither loses nor doubles nor reorders
// messages; linger.ms is 5, batch.size 262144 bytes, reconnect.backoff.max.ms 3000 and client.id
// gst-edgewire.
//
// A broker refuses batches, not messages. The messages of a batch that it refuses for what is in it, or
// for its size, are sent once more, each alone, and only the second refusal is final; one that then gets
// through may have been overtaken by later messages.
//
// A connection that stands but brings no answer for 90 s, with messages under way, is given up (Failed):
// the next Conn is to send what has no answer. A message that the broker took without saying so arrives
// twice then. The same happens when a topic that has taken messages is gone.
package kafka

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"os"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

func init() { adapters.Register(adapter{}) }

type adapter struct{}

// Name is "kafka".
func (adapter) Name() string { return "kafka" }

// Capabilities of Kafka: all of them.
func (adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Keys: true, Timestamps: true, Headers: true, Acknowledged: true, Binary: true,
		Subscribe: true, Retained: true}
}

// SplitConnStr parts servers and topic.
func (adapter) SplitConnStr(connStr string) (servers, topic string, err error) {
	cs, err := parseConnStr(connStr)
	return cs.servers, cs.topic, err
}

// Version is that of the librdkafka in use, such as 2.15.1.
func Version() string { return C.GoString(C.rd_kafka_version_str()) }

// Open checks the connection string, the configuration file, every librdkafka option and the files that
// they name, and starts to connect in the background.
func (adapter) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	c, err := newConn(cfg, sink)
	if err != nil {
		return nil, err
	}
	c.start()
	return c, nil
}

func newConn(cfg adapters.Config, sink adapters.Sink) (*conn, error) {
	cs, fc, rc, err := configure(cfg, sink.Log)
	if err != nil {
		return nil, err
	}
	c := &conn{sink: sink, secrets: rc.secrets, receiving: receivingConfig{servers: cs.servers, group: fc.group, user: fc.receiving, cfg: cfg}, maxBytes: rc.get("message.max.bytes"),
		propagation: rc.get("topic.metadata.propagation.max.ms"), maxQueue: rc.get("queue.buffering.max.kbytes"),
		batchSize: rc.get("batch.size"),
		patience:  stuckAfter + rc.milliseconds("topic.metadata.propagation.max.ms") + rc.milliseconds("linger.ms"),
		backoff:   rc.milliseconds("reconnect.backoff.ms"), maxBackoff: rc.milliseconds("reconnect.backoff.max.ms"),
		info:   infoOf(cs, fc, rc),
		topics: map[string]bool{}, explained: map[failure]error{}}
	c.renewal = newRenewal(rc, fc.secretFiles, func() error {
		_, _, again, err := configure(cfg, func(adapters.LogEntry) {})
		if err == nil {
			again.free()
		}
		return err
	})
	var errstr [1024]C.char
	c.p = C.ew_producer_new(rc.take(), &errstr[0], C.size_t(len(errstr)))
	if c.p == nil {
		return nil, newError(maskSecrets(C.GoString(&errstr[0]), c.secrets))
	}
	c.events = os.NewFile(uintptr(C.ew_events(c.p)), "events of librdkafka")
	return c, nil
}

// configure reads and checks all that a user says. The conf is to be taken or freed.
func configure(cfg adapters.Config, log func(adapters.LogEntry)) (cs connString, fc fileConfig, rc *conf, err error) {
	if cs, err = parseConnStr(cfg.ConnStr); err != nil {
		return cs, fc, nil, err
	}
	if fc, err = loadConfig(cfg.ConfigPath, cfg.Strict, log); err != nil {
		return cs, fc, nil, err
	}
	if err = checkConsumer(fc.consumer, cfg.Strict, log); err != nil {
		return cs, fc, nil, err
	}
	rc, err = buildProducer(cs.servers, fc.producer, cfg, log)
	return cs, fc, rc, err
}

func infoOf(cs connString, fc fileConfig, rc *conf) adapters.Info {
	info := adapters.Info{Host: rc.get("bootstrap.servers"), Topic: cs.topic, PartitionKey: fc.partitionKey}
	if info.Topic == "" {
		info.Topic = fc.topic
	}
	if info.Host == "" {
		info.Host = rc.get("metadata.broker.list")
	}
	return info
}

// Keys are those of the group [message-broker].
func (adapter) Keys() []settings.Key {
	keys := make([]settings.Key, 0, len(knownKeys))
	for _, name := range knownKeys {
		if name != shareKey {
			keys = append(keys, settings.Key{Name: name})
		}
	}
	return keys
}

// Check is Open without a connection.
func (adapter) Check(cfg adapters.Config, log func(adapters.LogEntry)) (adapters.Info, error) {
	cs, fc, rc, err := configure(cfg, log)
	if err != nil {
		return adapters.Info{}, err
	}
	defer rc.free()
	return infoOf(cs, fc, rc), nil
}

// fatalError is what Publish returns on a producer that librdkafka has given up.
func fatalError(reason string) error {
	if reason == "" {
		return errors.New("the producer is lost; open a new connection")
	}
	return fmt.Errorf("the producer is lost and is to be replaced: %s", reason)
}
