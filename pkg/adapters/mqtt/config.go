// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt/engine"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// keys are those of the group [message-broker]; README.md of this folder has them as a table.
var keys = append([]settings.Key{
	{Name: "username", Doc: "user name (the environment variable USER_MQTT wins)"},
	{Name: "password", Secret: true, Doc: "password (the environment variable PASSWORD_MQTT wins)"},
	{Name: "client-id", Doc: "client identifier, which must be this client's alone (default: a random one)"},
	{Name: "topic", Doc: "topic of messages that have none of their own"},
	{Name: "protocol-version", Doc: "5, 3.1.1, or auto: 5, and 3.1.1 with a server that refuses 5 (default auto)"},
	{Name: "qos", Doc: "quality of service of what is published: 0, 1 or 2 (default 1)"},
	{Name: "retain", Doc: "the server keeps the last message of each topic for those who come later (default 0)"},
	{Name: "subscribe-qos", Doc: "quality of service of subscriptions: 0, 1 or 2 (default 1)"},
	{Name: "consumer-group", Doc: "group whose members share the messages of a subscription (shared subscriptions of MQTT 5)"},
	{Name: "keep-alive", Doc: "seconds of silence after which the connection is tested, 0 to 65535 (default 60; 0: never)"},
	{Name: "clean-start", Doc: "0: go on with the session that the server keeps for client-id (default 1)"},
	{Name: "session-expiry", Doc: "seconds for which the server keeps the session without us (MQTT 5; default 300, with clean-start=0 86400)"},
	{Name: "max-inflight", Doc: "messages without an acknowledgement at once, 1 to 60000 (default 1000, with QoS 2 over 3.1.1 20; a server may ask for less)"},
	{Name: "message-expiry", Doc: "seconds after which the server drops a message that it could not deliver (MQTT 5; default: never)"},
	{Name: "content-type", Doc: "content type of every message, such as application/json (MQTT 5)"},
	{Name: "response-topic", Doc: "topic for answers, told to those who receive our messages (MQTT 5)"},
	{Name: "user-properties", Doc: "name=value;name=value: headers of every message (MQTT 5)"},
	{Name: "layout", Doc: "payload, or wrapped: DeepStream's protobuf message of payload, key and time (default payload; wrapped if the environment has DEEPSTREAM_ENABLE_SENSOR_ID_EXTRACTION=1)"},
	{Name: "will-topic", Doc: "topic of the message that the server publishes when we vanish"},
	{Name: "will-payload", Doc: "its payload (default: empty)"},
	{Name: "will-qos", Doc: "its quality of service (default 1)"},
	{Name: "will-retain", Doc: "whether it is retained (default 0)"},
	{Name: "will-delay", Doc: "seconds that the server waits for us to come back before (MQTT 5; default 0)"},
	{Name: "enable-tls", As: "tls", Doc: "DeepStream's name of tls"},
	{Name: "tls-cafile", As: "tls-ca-file", Doc: "DeepStream's name of tls-ca-file"},
	{Name: "tls-capath", Doc: "folder with PEM files of authorities, beside tls-ca-file"},
	{Name: "tls-certfile", As: "tls-cert-file", Doc: "DeepStream's name of tls-cert-file"},
	{Name: "tls-keyfile", As: "tls-key-file", Doc: "DeepStream's name of tls-key-file"},
	{Name: "loop-timeout", NoEffect: true, Doc: "DeepStream's; without effect: nothing is polled here"},
	{Name: "set-threaded", NoEffect: true, Doc: "DeepStream's; without effect"},
}, settings.TLSKeys...)

const maxSeconds = 1<<32 - 1

// build turns a configuration into the engine's options.
func build(cfg adapters.Config, log func(adapters.LogEntry)) (engine.Options, error) {
	var o engine.Options
	cs, err := parseConnStr(cfg.ConnStr)
	if err != nil {
		return o, err
	}
	g, err := settings.Load(cfg.ConfigPath, keys, cfg.Strict, log)
	if err != nil {
		return o, err
	}
	for _, k := range keys {
		if k.As != "" {
			g.Alias(k.Name, k.As)
		}
	}
	o = engine.Options{Facility: "mqtt", Info: adapters.Info{Host: cs.address(), Topic: cs.topic}, MaxMessages: cfg.MaxMessages,
		RetryInterval: cfg.RetryInterval, MaxRetry: cfg.MaxRetryInterval, Mask: g.Mask}
	r := &reader{g: g}
	if topic := r.text("topic"); o.Info.Topic == "" && topic != "" {
		o.Info.Topic = topic
		r.check("topic", engine.CheckTopic(topic))
	}
	r.session(&o)
	o.Durable = !o.CleanStart
	r.publishing(&o)
	if cfg.ReceiveOnly { // or it would take over what an earlier process has published with QoS 2, to no use
		o.QoS = min(o.QoS, 1)
	}
	r.will(&o)
	r.int("loop-timeout", 0, 0, 1<<31)
	r.bool("set-threaded", true)
	if r.err != nil {
		return o, r.err
	}
	d := &engine.Dialer{Address: cs.address(), WebSocket: cs.path}
	d.TLS = func(context.Context) (*tls.Config, error) { return tlsConfig(g, &cs) }
	o.Dial = d.Dial
	if _, err := tlsConfig(g, &cs); err != nil {
		return o, err
	}
	o.Credentials = func(context.Context) (engine.Credentials, error) { return credentials(g) }
	_, err = credentials(g)
	return o, err
}

// credentials are looked up for each connection: a file may hold a new password.
func credentials(g *settings.Group) (c engine.Credentials, err error) {
	if c.Username = settings.Getenv("USER_MQTT"); c.Username == "" {
		if c.Username, err = g.Text("username", ""); err != nil {
			return c, err
		}
	}
	c.Password, _, err = g.Secret("password", "PASSWORD_MQTT")
	c.HasPassword = c.Password != ""
	if err == nil && len(c.Username) > 65535 {
		err = g.Errorf("username", "shorten it", "has more than 65535 bytes")
	}
	return c, err
}

// tlsConfig adds DeepStream's tls-capath, and the scheme of a URL, to what the keys say.
func tlsConfig(g *settings.Group, cs *connString) (*tls.Config, error) {
	scheme := cs.scheme == "mqtts" || cs.scheme == "wss"
	on, err := g.UsesTLS()
	if err != nil {
		return nil, err
	}
	if !on && scheme && g.Has("tls") {
		return nil, g.Errorf("tls", "remove the key, or write "+strings.TrimSuffix(cs.scheme, "s")+"://", "contradicts %s:// in conn-str", cs.scheme)
	}
	c, err := g.TLS(cs.host)
	if err != nil || (c == nil && !scheme && (!g.Has("tls-capath") || g.Has("tls"))) {
		return nil, err
	}
	if c == nil {
		c = &tls.Config{ServerName: cs.host, MinVersion: tls.VersionTLS12}
	}
	if cs.path != "" {
		c.NextProtos = []string{"http/1.1"}
	}
	dir, err := g.Text("tls-capath", "")
	if err != nil || dir == "" {
		return c, err
	}
	if c.RootCAs == nil {
		c.RootCAs = x509.NewCertPool()
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, g.Errorf("tls-capath", "check the path and its permissions", "cannot read the folder %s: %v", dir, errors.Unwrap(err))
	}
	found := false
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() || st.Size() > 1<<20 {
			continue
		}
		if data, err := os.ReadFile(path); err == nil && c.RootCAs.AppendCertsFromPEM(data) {
			found = true
		}
	}
	if !found {
		return nil, g.Errorf("tls-capath", "put the authority's certificate into it, as a PEM file", "no file of the folder %s holds a certificate", dir)
	}
	return c, nil
}

// A reader reads keys until one is wrong.
type reader struct {
	g   *settings.Group
	err error
}

func (r *reader) text(key string) string {
	s, err := r.g.Text(key, "")
	r.note(err)
	return s
}

func (r *reader) int(key string, def, lo, hi int64) int64 {
	n, err := r.g.Int(key, def, lo, hi)
	r.note(err)
	return n
}

func (r *reader) seconds(key string, def time.Duration) time.Duration {
	return time.Duration(r.int(key, int64(def/time.Second), 0, maxSeconds)) * time.Second
}

func (r *reader) bool(key string, def bool) bool {
	b, err := r.g.Bool(key, def)
	r.note(err)
	return b
}

func (r *reader) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

// check points at a key whose value something is wrong with.
func (r *reader) check(key string, err error) {
	if err != nil {
		r.note(r.g.Errorf(key, "correct it", "%v", err))
	}
}

func (r *reader) session(o *engine.Options) {
	switch v := r.text("protocol-version"); v {
	case "", "auto":
	case "5", "5.0":
		o.Version = engine.V5
	case "3.1.1", "4":
		o.Version = engine.V311
	default:
		r.note(r.g.Errorf("protocol-version", "write 5, 3.1.1 or auto", "is not a version that can be used"))
	}
	o.ClientID = r.text("client-id")
	o.CleanStart = r.bool("clean-start", true)
	o.SessionExpiry = r.seconds("session-expiry", 300*time.Second)
	if !o.CleanStart {
		if o.ClientID == "" {
			r.note(r.g.Errorf("clean-start", "set client-id: the server knows the session by it", "is 0 without a client-id"))
		}
		if !r.g.Has("session-expiry") {
			o.SessionExpiry = 24 * time.Hour
		}
	}
	if o.ClientID == "" {
		var id [8]byte
		_, _ = rand.Read(id[:])
		o.ClientID = "edgewire" + hex.EncodeToString(id[:7]) // 22 letters and digits: every server takes 23 (MQTT-3.1.3-5)
	}
	if len(o.ClientID) > 65535 || strings.ContainsRune(o.ClientID, 0) {
		r.note(r.g.Errorf("client-id", "shorten it", "is longer than 65535 bytes, or holds a NUL"))
	}
	o.KeepAlive = time.Duration(r.int("keep-alive", 60, 0, 65535)) * time.Second
	if r.g.Has("max-inflight") {
		o.MaxInflight = int(r.int("max-inflight", 0, 1, 60000))
	}
	o.SubscribeQoS = byte(r.int("subscribe-qos", 1, 0, 2))
	if o.Group = r.text("consumer-group"); strings.ContainsAny(o.Group, "/+#") {
		r.note(r.g.Errorf("consumer-group", "use a name without them", "holds one of / + #"))
	}
}

func (r *reader) publishing(o *engine.Options) {
	layout, err := r.g.Choice("layout", "payload", "wrapped")
	r.note(err)
	if !r.g.Has("layout") && settings.Getenv("DEEPSTREAM_ENABLE_SENSOR_ID_EXTRACTION") == "1" {
		layout = "wrapped"
	}
	if layout == "wrapped" {
		o.Wrap = wrapper(settings.Getenv("DEEPSTREAM_SENSOR_ID"))
	}
	o.QoS = byte(r.int("qos", 1, 0, 2))
	o.Retain = r.bool("retain", false)
	p := engine.Properties{MessageExpiry: r.seconds("message-expiry", 0), ContentType: r.text("content-type"), ResponseTopic: r.text("response-topic")}
	if p.ResponseTopic != "" {
		r.check("response-topic", engine.CheckTopic(p.ResponseTopic))
	}
	list, err := r.g.List("user-properties")
	r.note(err)
	for _, item := range list {
		name, value, ok := strings.Cut(item, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			r.note(r.g.Errorf("user-properties", "write name=value;name=value", "an item is not name=value"))
			break
		}
		p.User = p.User.AppendString(name, strings.TrimSpace(value))
	}
	props, err := p.Append(nil)
	if err != nil {
		r.note(r.g.Errorf("user-properties", "shorten them", "%v", err))
	}
	o.Properties = props
}

func (r *reader) will(o *engine.Options) {
	w := engine.Will{Topic: r.text("will-topic"), Payload: []byte(r.text("will-payload")), QoS: byte(r.int("will-qos", 1, 0, 2)),
		Retain: r.bool("will-retain", false), Delay: r.seconds("will-delay", 0)}
	if w.Topic == "" {
		for _, key := range []string{"will-payload", "will-qos", "will-retain", "will-delay"} {
			if r.g.Has(key) {
				r.note(r.g.Errorf(key, "set will-topic, or remove the key", "is set without will-topic"))
			}
		}
		return
	}
	r.check("will-topic", engine.CheckTopic(w.Topic))
	if len(w.Payload) > 65535 {
		r.note(r.g.Errorf("will-payload", "shorten it", "has more than 65535 bytes"))
	}
	o.Will = &w
}
