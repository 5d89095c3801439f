// SPDX-License-Identifier: LGPL-2.1-or-later

// Package azure carries messages to Azure IoT Hub and Azure IoT Edge over MQTT 3.1.1 with TLS, as a device
// (adapter azure) or as a module of a device (azure_edge), and brings cloud-to-device messages, direct
// methods and desired properties.
//
// Tokens (shared access signatures) are made from the key of the connection string, or signed by the Edge
// daemon, and renewed before they end: the connection is made anew when all that is under way has its
// answer, and what has none is sent again.
package azure

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt/engine"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

func init() {
	adapters.Register(adapter{"azure"})
	adapters.Register(adapter{"azure_edge"})
}

const (
	apiVersion = "2021-04-12"
	maxMessage = 256 << 10 // bytes of a message with its properties: "IoT Hub quotas and throttling"
	renewAfter = 0.85      // of a token's life

	// What messages of a device are called in errors and counters when no topic is set.
	deviceTopic = "events"
)

// keys are those of the group [message-broker]; README.md of this folder has them as a table.
var keys = append([]settings.Key{
	{Name: "connection_str", Secret: true, Doc: "connection string of the device, when conn-str is empty"},
	{Name: "custom_msg_properties", Doc: "name=value;name=value: properties of every message"},
	{Name: "content-type", Doc: "content type of every message, such as application/json (needed to route by the body)"},
	{Name: "content-encoding", Doc: "content encoding of every message, such as utf-8"},
	{Name: "sas-ttl", Doc: "seconds for which a token is valid, 5 to 31536000 (default 3600); it is renewed after 85 % of them"},
	{Name: "qos", Doc: "0 or 1 (default 1): with 0 messages may be lost"},
	{Name: "keep-alive", Doc: "seconds of silence after which the connection is tested, 1 to 1767 (default 60)"},
	{Name: "max-inflight", Doc: "messages without an acknowledgement at once, 1 to 60000 (default 1000)"},
	{Name: "port", Doc: "port of the server (default 8883, with websocket=1 443)"},
	{Name: "websocket", Doc: "1: MQTT over WebSocket, for networks that let only HTTPS through (default 0)"},
	{Name: "cleanup-timeout", NoEffect: true, Doc: "DeepStream's; without effect: the drain-timeout of the element says how long the end waits"},
}, settings.TLSKeys...)

type adapter struct{ name string }

// Name is "azure" or "azure_edge".
func (a adapter) Name() string { return a.name }

// Capabilities of IoT Hub.
func (adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Headers: true, Acknowledged: true, Binary: true, Subscribe: true}
}

// Match knows that methods stands for every method, and inputs for every input.
func (adapter) Match(pattern, topic string) bool {
	if pattern == topic {
		return true
	}
	return (pattern == topicMethods || pattern == topicInputs) && strings.HasPrefix(topic, pattern+"/")
}

// Open checks the configuration and starts to connect in the background.
func (a adapter) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	o, t, err := a.build(cfg, sink.Log)
	if err != nil {
		return nil, err
	}
	return &conn{engine.Open(o, sink), &t.changes}, nil
}

// Keys are those of the group [message-broker].
func (adapter) Keys() []settings.Key { return keys }

// Check is Open without a connection.
func (a adapter) Check(cfg adapters.Config, log func(adapters.LogEntry)) (adapters.Info, error) {
	o, _, err := a.build(cfg, log)
	return o.Info, err
}

func (a adapter) build(cfg adapters.Config, log func(adapters.LogEntry)) (o engine.Options, t *topics, err error) {
	g, err := settings.Load(cfg.ConfigPath, keys, cfg.Strict, log)
	if err != nil {
		return o, nil, err
	}
	id, sign, err := a.identify(cfg, g)
	if err != nil {
		return o, nil, err
	}
	mask := func(text string) string { return settings.Mask(g.Mask(text), id.secrets...) }
	o = engine.Options{Facility: a.name, Version: engine.V311, ClientID: id.clientID(), SubscribeQoS: 1, MaxMessages: cfg.MaxMessages,
		MaxPayload: maxMessage, RetryInterval: cfg.RetryInterval, MaxRetry: cfg.MaxRetryInterval, Mask: mask}
	if err := settle(&o, g); err != nil {
		return o, nil, err
	}
	if err := a.connect(&o, g, id, sign); err != nil {
		return o, nil, err
	}
	fixed, err := properties(g)
	if err != nil {
		return o, nil, err
	}
	t = &topics{id: id, fixed: fixed, module: id.module != ""}
	// A device's messages have no topic of their own, so none needs to be set. A module's is the name of an output.
	if !t.module && !cfg.ReceiveOnly {
		o.Info.Topic = deviceTopic
	}
	o.CheckTopic, o.PublishTopic = t.check, t.publish
	o.Filter, o.Match, o.Incoming, o.Granted = t.filter, a.Match, t.incoming, t.granted
	host := o.Info.Host
	o.Refused = func(topic string, size, limit int) *adapters.DeliveryError {
		return &adapters.DeliveryError{Kind: adapters.ErrTooLarge, Topic: topic, Host: host,
			Cause:  fmt.Sprintf("the message of %d bytes, properties included, is larger than the %d KiB that IoT Hub takes", size, limit>>10),
			Remedy: "send less in one message, or upload large data to a storage account and send its address"}
	}
	o.Explain = func(code byte) string { return explain(code, id) }
	o.LostHint = "IoT Hub does so when the hub's daily quota is used up or its rate limits are exceeded (its metrics tell), when another client " +
		"uses the same device, and when the device was disabled; the pauses between attempts grow"
	return o, t, nil
}

// settle reads what is as in any MQTT.
func settle(o *engine.Options, g *settings.Group) error {
	qos, err := g.Int("qos", 1, 0, 1)
	if err != nil {
		return err
	}
	// IoT Hub ends a connection after 1.5 times the keep-alive, and allows 1767 seconds at most.
	if o.KeepAlive, err = g.Duration("keep-alive", time.Second, 60*time.Second, time.Second, 1767*time.Second); err != nil {
		return err
	}
	inflight, err := g.Int("max-inflight", engine.DefaultMaxInflight, 1, 60000)
	if err != nil {
		return err
	}
	_, err = g.Int("cleanup-timeout", 10, 0, 1<<31)
	o.QoS, o.MaxInflight = byte(qos), int(inflight)
	return err
}

// identify finds out who we are and how tokens are signed; sign is nil with X.509.
func (a adapter) identify(cfg adapters.Config, g *settings.Group) (*identity, signer, error) {
	text := strings.TrimSpace(cfg.ConnStr)
	if text == "" {
		var err error
		if text, _, err = g.Secret("connection_str"); err != nil {
			return nil, nil, err
		}
	}
	if text == "" && a.name == "azure_edge" {
		id, w, err := environment()
		if err != nil {
			return nil, nil, err
		}
		if w != nil {
			return id, w.sign, nil
		}
		return id, keySigner(id.key), nil
	}
	if text == "" {
		return nil, nil, errors.New("conn-str is empty and the configuration file has no connection_str; " + connStrForm)
	}
	id, err := parse(text)
	switch {
	case err != nil:
		return nil, nil, err
	case a.name == "azure_edge" && id.module == "":
		return nil, nil, errors.New("conn-str: ModuleId is missing; azure_edge connects as a module: use the module's connection string, or proto-lib=azure for a device")
	case id.x509 && !g.Has("tls-cert-file"):
		return nil, nil, errors.New("conn-str: x509=true needs the certificate of the device; set tls-cert-file and tls-key-file in the configuration file")
	case id.x509:
		return id, nil, nil
	}
	return id, keySigner(id.key), nil
}

// connect sets how to reach the server and what to say to it.
func (a adapter) connect(o *engine.Options, g *settings.Group, id *identity, sign signer) error {
	ws, err := g.Bool("websocket", false)
	if err != nil {
		return err
	}
	def := int64(8883)
	if ws {
		def = 443
	}
	port, err := g.Int("port", def, 1, 65535)
	if err != nil {
		return err
	}
	ttl, err := g.Duration("sas-ttl", time.Second, time.Hour, 5*time.Second, 365*24*time.Hour)
	if err != nil {
		return err
	}
	if on, err := g.Bool("tls", true); err != nil || !on {
		return errors.Join(err, g.Errorf("tls", "remove the key", "is off, but IoT Hub speaks TLS alone"))
	}
	address := net.JoinHostPort(id.server(), strconv.FormatInt(port, 10))
	o.Info.Host = address
	if _, err := g.TLS(id.server()); err != nil {
		return err
	}
	d := &engine.Dialer{Address: address, TLS: func(ctx context.Context) (*tls.Config, error) {
		c, err := g.TLS(id.server())
		if err != nil {
			return nil, err
		}
		if c == nil {
			c = &tls.Config{ServerName: id.server(), MinVersion: tls.VersionTLS12}
		}
		if c.RootCAs == nil && id.trust != nil {
			if c.RootCAs, err = id.trust(ctx); err != nil {
				return nil, err
			}
		}
		if ws {
			c.NextProtos = []string{"http/1.1"}
		}
		return c, nil
	}}
	if ws {
		d.WebSocket = "/$iothub/websocket"
	}
	o.Dial = d.Dial
	user := id.host + "/" + id.clientID() + "/?api-version=" + apiVersion
	o.Credentials = func(ctx context.Context) (engine.Credentials, error) {
		c := engine.Credentials{Username: user}
		if sign == nil {
			return c, nil
		}
		now := time.Now()
		end := now.Add(ttl).Truncate(time.Second) // a token says whole seconds
		var err error
		if c.Password, err = token(ctx, id.resource(), id.policy, end, sign); err != nil {
			return c, err
		}
		c.HasPassword = true
		c.Until = now.Add(time.Duration(float64(end.Sub(now)) * renewAfter))
		return c, nil
	}
	return nil
}

// explain words what the hub answers to CONNECT.
func explain(code byte, id *identity) string {
	switch code {
	case 0x85:
		return fmt.Sprintf("IoT Hub does not accept the device %s; check DeviceId and ModuleId", id.clientID())
	case 0x86, 0x87:
		if id.x509 {
			return fmt.Sprintf("IoT Hub does not accept the certificate of the device %s; check tls-cert-file, and that the device exists, is enabled and is set to X.509", id.clientID())
		}
		return fmt.Sprintf("IoT Hub does not accept the token of the device %s; check SharedAccessKey, that the device exists and is enabled, and the clock "+
			"of this machine (it says %s)", id.clientID(), time.Now().UTC().Format("2006-01-02 15:04 MST"))
	case 0x88:
		return "IoT Hub is not available, or limits the rate of connections (429); the pauses between attempts grow"
	}
	return ""
}
