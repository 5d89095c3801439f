// SPDX-License-Identifier: LGPL-2.1-or-later

// Command reader is the consumer that the chaos runs over AMQP, MQTT and NATS trust: the protocols' own libraries,
// nothing of ours.
//
//	reader prepare PROTOCOL HOST:PORT NAME        make what keeps messages: a durable queue (amqp), a stream (nats)
//	reader read    PROTOCOL HOST:PORT NAME IDLE   a line "SESSION NUMBER" for each message
//
// NAME is the queue, topic or subject. A reader of mqtt has a persistent session, says "ready" when it has subscribed,
// and connects again when the server comes back. It reads until stdin ends and nothing has come for IDLE.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const patience = 30 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "reader:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 4 {
		return errors.New("usage: reader prepare|read PROTOCOL HOST:PORT NAME [IDLE]")
	}
	verb, protocol, address, name := args[0], args[1], args[2], args[3]
	if verb == "prepare" {
		switch protocol {
		case "amqp":
			return declare(address, name)
		case "nats":
			return addStream(address, name)
		case "mqtt":
			return nil
		}
		return fmt.Errorf("unknown protocol %q", protocol)
	}
	if verb != "read" || len(args) != 5 {
		return errors.New("read needs IDLE")
	}
	idle, err := time.ParseDuration(args[4])
	if err != nil {
		return err
	}
	r := &reading{idle: idle, got: make(chan [2]string, 1<<16), over: make(chan struct{})}
	safe.Go(nil, "stdin", nil, func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(r.over)
	})
	switch protocol {
	case "amqp":
		return r.amqp(address, name)
	case "nats":
		return r.nats(address, name)
	case "mqtt":
		return r.mqtt(address, name)
	}
	return fmt.Errorf("unknown protocol %q", protocol)
}

// A reading prints what comes.
type reading struct {
	idle time.Duration
	got  chan [2]string // session and number
	over chan struct{}  // closed: IDLE counts from now on
}

func (r *reading) print() error {
	out := bufio.NewWriter(os.Stdout)
	timer := time.NewTimer(r.idle)
	over := r.over
	for {
		expired := timer.C
		if over != nil {
			expired = nil
		}
		select {
		case m := <-r.got:
			timer.Reset(r.idle)
			if _, err := fmt.Fprintln(out, m[0], m[1]); err != nil {
				return err
			}
		case <-over:
			over = nil
			timer.Reset(r.idle)
		case <-expired:
			return out.Flush()
		}
	}
}

func dialAMQP(address string) (*rabbit.Connection, *rabbit.Channel, error) {
	c, err := rabbit.Dial("amqp://guest:guest@" + address + "/")
	if err != nil {
		return nil, nil, err
	}
	ch, err := c.Channel()
	return c, ch, err
}

func declare(address, name string) error {
	c, ch, err := dialAMQP(address)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = ch.QueueDeclare(name, true, false, false, false, nil)
	return err
}

func (r *reading) amqp(address, name string) error {
	c, ch, err := dialAMQP(address)
	if err != nil {
		return err
	}
	defer c.Close()
	in, err := ch.Consume(name, "", true, false, false, false, nil)
	if err != nil {
		return err
	}
	safe.Go(nil, "messages", nil, func() {
		for d := range in {
			r.got <- [2]string{fmt.Sprint(d.Headers[adapters.SessionHeader]), fmt.Sprint(d.Headers[adapters.NumberHeader])}
		}
	})
	return r.print()
}

func dialNATS(address string) (*nats.Conn, jetstream.JetStream, error) {
	c, err := nats.Connect("nats://" + address)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(c)
	return c, js, err
}

func addStream(address, name string) error {
	c, js, err := dialNATS(address)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}})
	return err
}

func (r *reading) nats(address, name string) error {
	c, js, err := dialNATS(address)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		r.got <- [2]string{m.Headers().Get(adapters.SessionHeader), m.Headers().Get(adapters.NumberHeader)}
	})
	if err != nil {
		return err
	}
	defer consuming.Stop()
	return r.print()
}

func (r *reading) mqtt(address, name string) error {
	server, err := url.Parse("mqtt://" + address)
	if err != nil {
		return err
	}
	ready := make(chan struct{}, 16)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 20, SessionExpiryInterval: 3600, ConnectRetryDelay: 200 * time.Millisecond,
		OnConnectionUp: func(c *autopaho.ConnectionManager, _ *paho.Connack) {
			if _, err := c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: name, QoS: 1}}}); err == nil {
				ready <- struct{}{}
			}
		},
		ClientConfig: paho.ClientConfig{ClientID: "reader", OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(m paho.PublishReceived) (bool, error) {
				p := m.Packet.Properties.User
				r.got <- [2]string{p.Get(adapters.SessionHeader), p.Get(adapters.NumberHeader)}
				return true, nil
			}}},
	})
	if err != nil {
		return err
	}
	select {
	case <-ready:
	case <-time.After(patience):
		return errors.New("could not subscribe")
	}
	fmt.Println("ready")
	if err := r.print(); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.Disconnect(ctx)
}
