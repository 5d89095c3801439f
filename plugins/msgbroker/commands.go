// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/cloud"
)

// commandsWait bounds how long stopping waits for a handler of the application, which may itself be the one
// that stops us, and for the last replies.
const commandsWait = 500 * time.Millisecond

// commands are the element's subscriptions to commands of a cloud.
type commands struct {
	s      *sink
	cloud  *cloud.Cloud
	subs   []*broker.Subscription
	cancel context.CancelFunc
	ctx    context.Context
	wg     sync.WaitGroup

	mu     sync.Mutex
	inHand map[int]func() // by the thread that carries a command out: acknowledges it
	own    []consumer     // connections beside the one that publishes
}

// A consumer is the connection of a [message-consumerN] group.
type consumer struct {
	group, protoLib string
	conn            *broker.Connection
}

// openCommands subscribes as the properties say, if they ask for anything.
func (s *sink) openCommands(set settings, conn *broker.Connection, reconnect broker.Reconnect) error {
	allow, err := c2d.ParseAllow(set.allowSet)
	if err != nil {
		return fmt.Errorf("allow-set: %w", err)
	}
	topics := brokerside.Topics(set.commandTopics)
	if len(topics) == 0 && strings.TrimSpace(set.consumers) == "" {
		return nil
	}
	c := &commands{s: s, inHand: map[int]func(){}, cloud: cloud.New(cloud.Options{Element: s.Element, Log: log, Record: strings.TrimSpace(set.recordElement), Allow: allow})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	s.commands, s.told = c, c // before the first command comes: its handler may answer at once
	s.mu.Unlock()
	return c.subscribe(set, topics, conn, reconnect)
}

func (c *commands) subscribe(set settings, topics []string, conn *broker.Connection, reconnect broker.Reconnect) error {
	if len(topics) > 0 {
		if err := c.listen("command-topics", topics, strings.TrimSpace(set.consumerGroup), conn, nil); err != nil {
			return fmt.Errorf("command-topics: %w", err)
		}
	}
	path := strings.TrimSpace(set.consumers)
	if path == "" {
		return nil
	}
	groups, warnings, err := c2d.LoadConsumers(path)
	for _, w := range warnings {
		log.Log(gst.LevelWarning, c.s.Element, "%s", w)
	}
	if err != nil {
		return err
	}
	for _, g := range groups {
		if _, _, err := adapters.ResolveProtoLib(g.ProtoLib); err != nil {
			return fmt.Errorf("%s: [%s] %w", path, g.Group, err)
		}
		own, err := broker.Connect(broker.Options{ProtoLib: g.ProtoLib, ConnStr: g.ConnStr, ConfigPath: g.ConfigFile, StrictConfig: true,
			Reconnect: reconnect, Log: c.s.logEntry, OnState: func(st broker.StateChange) { c.state(g.Group, st) }, OnClosed: c.s.Unref})
		if err != nil {
			return fmt.Errorf("%s: [%s]: %w", path, g.Group, err)
		}
		c.s.Ref() // given back by OnClosed
		c.mu.Lock()
		c.own = append(c.own, consumer{g.Group, g.ProtoLib, own})
		c.mu.Unlock()
		if err := c.listen(g.Group, g.Topics, "", own, g.Sensors); err != nil {
			return fmt.Errorf("%s: [%s]: %w", path, g.Group, err)
		}
	}
	return nil
}

// listen carries out what comes on the topics, one command after the other.
func (c *commands) listen(name string, topics []string, group string, conn *broker.Connection, sensors *c2d.Sensors) error {
	sub, err := conn.Subscribe(broker.SubscribeOptions{Topics: topics, Group: group, OnSubscribed: func(topic string, err error) {
		if err != nil {
			c.s.Warning(gst.ResourceFailed, fmt.Sprintf("msgbroker: %s: no commands from %s: %v", name, topic, err), "")
			return
		}
		m := gst.Structure{Name: "msgbroker-listening"}
		m.Add("source", name)
		m.Add("topic", topic)
		c.s.PostMessage(m)
	}})
	if err != nil {
		return err
	}
	c.subs = append(c.subs, sub)
	src := &cloud.Source{Name: name, Sensors: sensors, Publish: func(topic string, payload []byte) error {
		return conn.Publish(broker.Message{Topic: topic, Payload: payload})
	}}
	c.s.Ref() // a handler of the application may outlive the stop
	safe.Go(&c.wg, "commands", func(e *safe.PanicError) { c.s.Panicked("carrying out a command", e.Value) }, func() {
		defer c.s.Unref()
		for c.ctx.Err() == nil { // what is queued at a stop is for the next run
			m, err := sub.Next(c.ctx)
			if err != nil {
				return
			}
			c.carryOut(src, sub, &m)
		}
	})
	return nil
}

// carryOut has a command carried out, and acknowledges it.
func (c *commands) carryOut(src *cloud.Source, sub *broker.Subscription, m *adapters.Incoming) {
	runtime.LockOSThread() // handlers are called on it
	defer runtime.UnlockOSThread()
	thread := syscall.Gettid()
	c.mu.Lock()
	c.inHand[thread] = func() { sub.Ack(m) }
	c.mu.Unlock()
	c.cloud.Handle(src, m)
	c.mu.Lock()
	delete(c.inHand, thread)
	c.mu.Unlock()
	sub.Ack(m)
}

// ackOwn acknowledges the command whose handler stops the element: it has been carried out by that. Came it
// again with the next start, it would stop the element for ever.
func (c *commands) ackOwn() {
	c.mu.Lock()
	ack := c.inHand[syscall.Gettid()]
	c.mu.Unlock()
	if ack != nil {
		ack()
	}
}

// state tells of the connection of a [message-consumerN] group.
func (c *commands) state(group string, st broker.StateChange) {
	log.Log(gst.LevelInfo, c.s.Element, "%s: %s is %s %s", group, st.Host, st.New, st.Reason)
	m := gst.Structure{Name: "msgbroker-consumer"}
	m.Add("group", group)
	m.Add("host", st.Host)
	m.Add("state", st.New.String())
	m.Add("reason", st.Reason)
	c.s.PostMessage(m)
	if st.New == broker.StateFailed {
		c.s.Warning(gst.ResourceFailed, fmt.Sprintf("msgbroker: [%s]: the connection to %s failed for good: %s", group, st.Host, st.Reason), "")
	}
}

// close ends the subscriptions. Connections of its own are closed; the one that publishes is not.
func (c *commands) close() {
	c.cancel()
	c.ackOwn()
	ended := make(chan struct{})
	safe.Go(nil, "end of commands", nil, func() { c.wg.Wait(); close(ended) })
	select {
	case <-ended:
	case <-time.After(commandsWait):
		log.Log(gst.LevelInfo, c.s.Element, "a handler of a command still runs while the element stops")
	}
	for _, s := range c.subs { // not before: what is carried out meanwhile is acknowledged
		s.Close()
	}
	c.cloud.Close()
	ctx, cancel := context.WithTimeout(context.Background(), commandsWait)
	defer cancel()
	var closing sync.WaitGroup // at once: what each of them may take does not add up
	for _, own := range c.own {
		safe.Go(&closing, "end of a connection for commands", nil, func() { own.conn.Close(ctx) })
	}
	closing.Wait()
}

// consumers are the stats of the connections of its own, by group; false without any. They are right after close, too.
func (c *commands) consumers() (all gst.Structure, some bool) {
	if c == nil {
		return all, false
	}
	c.mu.Lock()
	own := c.own // only grows
	c.mu.Unlock()
	all.Name = "consumers"
	for _, x := range own {
		one := gst.Structure{Name: "application/x-msgbroker-stats"}
		addStats(&one, x.conn.Stats(), x.protoLib)
		all.Add(x.group, one)
	}
	return all, len(own) > 0
}

// commandProperties are those of cloud to device.
func commandProperties() []gst.Property {
	return []gst.Property{
		stringProp("command-topics", "Topics, separated by ;, that bring commands of the cloud over this connection", func(s *settings) *string { return &s.commandTopics }),
		stringProp("message-consumers", "Key file with groups [message-consumer0] …, as in DeepStream's application configurations: connections and topics that bring "+
			"commands of the cloud", func(s *settings) *string { return &s.consumers }),
		stringProp("record-element", "Name of the element that start-recording and stop-recording drive by its action signals start-sr and stop-sr, with %u in the place of "+
			"the sensor's number; without it they are the application's", func(s *settings) *string { return &s.recordElement }),
		stringProp("allow-set", "What the cloud may set by the command set-property: ELEMENT.PROPERTY, separated by commas; nothing by default",
			func(s *settings) *string { return &s.allowSet }),
	}
}

// running gives the Cloud that carries commands out, nil while the element is stopped.
func (s *sink) running() *cloud.Cloud {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commands == nil {
		return nil
	}
	return s.commands.cloud
}
