// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"slices"
	"strconv"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// defaultGroup is that of DeepStream's adaptor.
const defaultGroup = "test-consumer-group"

// oursConsuming are the consumer's defaults that differ from librdkafka's.
//   - auto.commit.interval.ms: so much comes again, at most, after a consumer was killed
//   - session.timeout.ms: how soon the others of a group take over from one that was killed
//   - topic.metadata.refresh.interval.ms: how soon a topic that is new is found
//   - queued.max.messages.kbytes: what is read ahead, of all partitions together
var oursConsuming = []property{
	{name: "auto.commit.interval.ms", value: "500"},
	{name: "session.timeout.ms", value: "10000"},
	{name: "heartbeat.interval.ms", value: "2000"},
	{name: "topic.metadata.refresh.interval.ms", value: "3000"},
	{name: "queued.max.messages.kbytes", value: "16384"},
	{name: "fetch.error.backoff.ms", value: "200"},
	{name: "fetch.wait.max.ms", value: "200"},
	{name: "reconnect.backoff.max.ms", value: "3000"},
	{name: "client.id", value: "gst-edgewire"},
}

// forcedConsuming are options that the consumer needs for itself: only what was acknowledged is committed.
// Beside them, enable.partition.eof tells one that begins with the next message when its place is known.
var forcedConsuming = []property{
	{name: "log.queue", value: "true"},
	{name: "enable.auto.offset.store", value: "false"},
	{name: "enable.auto.commit", value: "true"},
}

// A receivingConfig is what a conn remembers for its consumers.
type receivingConfig struct {
	servers string
	group   string
	user    []property // proto-cfg, then consumer-proto-cfg
	cfg     adapters.Config
}

// buildConsumer makes the configuration of a consumer in the order of DeepStream's adaptor: group and
// auto.offset.reset, then what the user says; but a group that the subscription names wins.
func buildConsumer(rc *receivingConfig, sub adapters.SubscribeConfig, log func(adapters.LogEntry)) (*conf, error) {
	c := newConf()
	if err := c.fillConsumer(rc, sub, log); err != nil {
		c.free()
		return nil, err
	}
	return c, nil
}

func (c *conf) fillConsumer(rc *receivingConfig, sub adapters.SubscribeConfig, log func(adapters.LogEntry)) error {
	first := slices.Clone(oursConsuming)
	if rc.servers != "" {
		first = append(first, property{name: "bootstrap.servers", value: rc.servers})
	}
	if rc.cfg.RetryInterval > 0 {
		longest := max(rc.cfg.MaxRetryInterval, rc.cfg.RetryInterval)
		first = append(first, milliseconds("reconnect.backoff.max.ms", longest), milliseconds("reconnect.backoff.ms", rc.cfg.RetryInterval))
	}
	group, reset := rc.group, "latest"
	if group == "" {
		group = defaultGroup
	}
	if sub.FromStart {
		reset = "earliest"
	}
	first = append(first, property{name: "group.id", value: group}, property{name: "auto.offset.reset", value: reset})
	for _, p := range first {
		if err := c.apply(p, true); err != nil {
			return err
		}
	}
	// What is wrong in there was told when the connection was opened.
	if err := c.applyUser(rc.user, rc.cfg.Strict, func(adapters.LogEntry) {}); err != nil {
		return err
	}
	if sub.Group != "" {
		if err := c.apply(property{name: "group.id", value: sub.Group}, true); err != nil {
			return err
		}
	}
	if u, ok := c.set["auto.offset.reset"]; ok {
		reset = u.value
	}
	c.atEnd = !slices.Contains([]string{"earliest", "smallest", "beginning"}, reset)
	for _, p := range append(slices.Clone(forcedConsuming), property{name: "enable.partition.eof", value: strconv.FormatBool(c.atEnd)}) {
		if u, ok := c.set[p.name]; ok && u.value != p.value {
			log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka",
				Text: u.fail("is ignored", "it is always "+p.value+" here").Error()})
		}
		if err := c.apply(p, true); err != nil {
			return err
		}
	}
	return c.checkFiles()
}
