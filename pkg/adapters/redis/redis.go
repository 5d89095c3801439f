// SPDX-License-Identifier: LGPL-2.1-or-later

// Package redis carries messages to Redis streams (Redis 5 and later) and brings them back by consumer
// groups. Its page is README.md beside it.
//
// Publishing is ours from the queue to the socket: each message becomes an XADD command where Publish copies
// it, commands are written in large runs without waiting for answers, and each answer settles one message.
// Messages are answered for in their order on each connection, so that what has no answer can be sent again in
// order: after a lost connection (the server may have taken such a message: it is then there twice), and when
// the server says that it cannot write at present. go-redis finds the server (Sentinel, Cluster) and carries
// what has time: subscriptions.
package redis

import (
	"strconv"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

func init() { adapters.Register(adapter{}) }

type adapter struct{}

// Name is "redis".
func (adapter) Name() string { return "redis" }

// Capabilities of streams. Keys, headers and times are fields beside the payload.
func (adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Keys: true, Timestamps: true, Headers: true, Acknowledged: true, Binary: true,
		Subscribe: true, Retained: true}
}

// SplitConnStr parts servers and stream.
func (adapter) SplitConnStr(connStr string) (servers, topic string, err error) {
	cs, err := parseConnStr(connStr)
	return strings.Join(cs.servers, ","), cs.stream, err
}

// Keys are those of the group [message-broker].
func (adapter) Keys() []settings.Key { return keys }

// Check is Open without a connection.
func (adapter) Check(cfg adapters.Config, log func(adapters.LogEntry)) (adapters.Info, error) {
	o, err := load(cfg, log)
	if err != nil {
		return adapters.Info{}, err
	}
	return o.info(), nil
}

func load(cfg adapters.Config, log func(adapters.LogEntry)) (*options, error) {
	cs, err := parseConnStr(cfg.ConnStr)
	if err != nil {
		return nil, err
	}
	return loadOptions(cfg, cs, log)
}

// Open checks connection string and configuration, the files that it names included, and starts to connect
// in the background.
func (adapter) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	o, err := load(cfg, sink.Log)
	if err != nil {
		return nil, err
	}
	c := newConn(cfg, o, sink)
	c.start()
	return c, nil
}

// The keys of [message-broker]: DeepStream's, then ours.
var keys = append([]settings.Key{
	{Name: "hostname", Doc: "host, where the connection string names none"},
	{Name: "port", Doc: "its port (default 6379)"},
	{Name: "password", Secret: true, Doc: "password; the environment variable PASSWORD_REDIS wins"},
	{Name: "streamsize", Doc: "about how many messages a stream keeps (MAXLEN ~); the default is all of them"},
	{Name: "payloadkey", Doc: "field of the payload (default metadata)"},
	{Name: "consumergroup", Doc: "group for receiving, where the subscription names none (default redis-consumer-group)"},
	{Name: "consumername", Doc: "name in that group (default redis-consumer)"},
	{Name: "flush-timeout", NoEffect: true, Doc: "accepted and without effect: msgbroker's drain-timeout says how long its end may take"},
	{Name: "sensorid", Doc: "key of messages without one, in layout key-value (default: the environment variable DEEPSTREAM_SENSOR_ID, else unknown-sensor)"},

	{Name: "topic", Doc: "stream, where neither the connection string nor the element names one"},
	{Name: "partition-key", Doc: "path of the payload's field that is to be the key of the message"},
	{Name: "username", Doc: "user of the access control list (Redis 6 and later); without one, the default user"},
	{Name: "db", Doc: "number of the database, 0 to 65535 (default 0); a cluster has only 0"},
	{Name: "client-name", Doc: "name of the connection in CLIENT LIST (default gst-edgewire)"},
	{Name: "sentinel-master", Doc: "name of the master that the Sentinels know; the servers named are Sentinels then"},
	{Name: "sentinel-username", Doc: "user for the Sentinels"},
	{Name: "sentinel-password", Secret: true, Doc: "password for the Sentinels"},
	{Name: "sentinel-tls", Doc: "use TLS towards the Sentinels too (default: as tls)"},
	{Name: "cluster", Doc: "the servers named are nodes of a cluster (true or false; default: found out)"},
	{Name: "layout", Doc: "fields of an entry: fields or key-value (default fields; key-value if the environment has DEEPSTREAM_ENABLE_SENSOR_ID_EXTRACTION=1)"},
	{Name: "timestampkey", Doc: "field of the message's time in milliseconds (default timestamp); empty: none"},
	{Name: "max-in-flight", Doc: "messages sent and not answered, at most (default 10000): so many may come twice after a lost connection"},
	{Name: "response-timeout", Doc: "seconds without an answer after which a connection counts as lost, 1 to 3600 (default 30)"},
	{Name: "claim-idle", Doc: "seconds after which a message that another consumer of the group has not acknowledged is taken over; 0: never (default 0)"},
}, settings.TLSKeys...)

// The fields of an entry beside payload and time.
const (
	keyField     = "key"
	valueField   = "value"   // of layout key-value
	headersField = "headers" // of layout key-value: a JSON object
	// renamed is put before the name of a user's header that is also the name of a field of ours.
	renamed = "header."
)

type options struct {
	group   *settings.Group
	servers []string // host:port
	topic   string

	username, password                 string
	sentinelMaster                     string
	sentinelUsername, sentinelPassword string
	sentinelTLS                        bool
	ofSentinel                         bool // in a copy: for the words about a Sentinel
	cluster, clusterAsked              bool // clusterAsked: the configuration says one or the other
	db                                 int
	clientName                         string
	tls                                bool

	streamSize   string // "" keeps all
	payloadKey   string
	timestampKey string
	keyValue     bool
	sensorID     string
	partitionKey string

	groupName, consumerName string
	claimIdle               time.Duration
	inFlight                int
	patience                time.Duration
}

// host names the servers towards people.
func (o *options) host() string { return strings.Join(o.servers, ",") }

func (o *options) info() adapters.Info {
	return adapters.Info{Host: o.host(), Topic: o.topic, PartitionKey: o.partitionKey}
}

// loadOptions reads the configuration file, and the environment where DeepStream does.
func loadOptions(cfg adapters.Config, cs connString, log func(adapters.LogEntry)) (*options, error) {
	g, err := settings.Load(cfg.ConfigPath, keys, cfg.Strict, log)
	if err != nil {
		return nil, err
	}
	o := &options{group: g, servers: cs.servers, topic: cs.stream}
	r := reader{g: g}
	if len(o.servers) == 0 {
		host := r.text("hostname", "")
		if r.err == nil && host == "" {
			r.err = g.Errorf("hostname", "write "+connStrForm+" in conn-str, or set hostname and port", "no server is named")
		}
		if r.err == nil {
			if o.servers, err = parseHosts(host, strconv.FormatInt(r.number("port", 6379, 1, 65535), 10)); err != nil {
				r.err = g.Errorf("hostname", "write the name or the address of the server", "%v", err)
			}
		}
	}
	if o.topic == "" {
		o.topic = r.text("topic", "")
	}
	o.username = r.text("username", "")
	o.password = r.secret("password", "PASSWORD_REDIS")
	if n := r.number("streamsize", 0, 0, 1<<62); n > 0 {
		o.streamSize = strconv.FormatInt(n, 10)
	}
	o.payloadKey = r.name("payloadkey", "metadata")
	o.timestampKey = r.text("timestampkey", "timestamp")
	o.groupName = r.name("consumergroup", "redis-consumer-group")
	o.consumerName = r.name("consumername", "redis-consumer")
	o.sensorID = r.text("sensorid", settings.Getenv("DEEPSTREAM_SENSOR_ID"))
	if o.sensorID == "" {
		o.sensorID = "unknown-sensor"
	}
	o.partitionKey = r.text("partition-key", "")
	r.number("flush-timeout", 0, 0, 1<<31)
	o.db = int(r.number("db", 0, 0, 65535))
	o.clientName = r.text("client-name", "gst-edgewire")
	if r.err == nil && strings.ContainsFunc(o.clientName, func(c rune) bool { return c <= ' ' || c > '~' }) {
		r.err = g.Errorf("client-name", "use printable ASCII characters without blanks", "is no name for a connection")
	}
	o.sentinelMaster = r.text("sentinel-master", "")
	o.sentinelUsername = r.text("sentinel-username", "")
	o.sentinelPassword = r.secret("sentinel-password")
	o.cluster, o.clusterAsked = r.yes("cluster", false), g.Has("cluster")
	layout := "fields"
	if settings.Getenv("DEEPSTREAM_ENABLE_SENSOR_ID_EXTRACTION") == "1" {
		layout = "key-value"
	}
	switch layout = r.text("layout", layout); layout {
	case "fields":
	case "key-value":
		o.keyValue, o.payloadKey = true, valueField
	default:
		r.fail(g.Errorf("layout", "write fields or key-value", "%q is no layout", layout))
	}
	o.inFlight = int(r.number("max-in-flight", 10_000, 1, 1_000_000))
	o.patience = r.seconds("response-timeout", 30*time.Second, time.Second, time.Hour)
	o.claimIdle = r.seconds("claim-idle", 0, 0, 24*time.Hour)
	if r.err == nil {
		o.tls, r.err = g.UsesTLS()
	}
	o.sentinelTLS = r.yes("sentinel-tls", o.tls)
	if r.err != nil {
		return nil, r.err
	}
	switch {
	case o.sentinelMaster != "" && o.cluster:
		return nil, g.Errorf("cluster", "remove one of them", "is set together with sentinel-master")
	case o.sentinelTLS && !o.tls:
		return nil, g.Errorf("sentinel-tls", "set tls=true too, or remove it", "is set without tls")
	case o.cluster && o.db != 0:
		return nil, g.Errorf("db", "remove it", "is not 0, but a cluster has no other database")
	case o.username != "" && o.password == "":
		return nil, g.Errorf("username", "set password, password-file or the environment variable PASSWORD_REDIS", "is set without a password")
	case !o.keyValue && clashes(o.payloadKey, o.timestampKey):
		return nil, g.Errorf("payloadkey", "choose another name", "%q is the name of another field", o.payloadKey)
	case o.timestampKey != "" && clashes(o.timestampKey, o.payloadKey):
		return nil, g.Errorf("timestampkey", "choose another name", "%q is the name of another field", o.timestampKey)
	}
	// The files are read anew for each connection; a mistake in them is better known now.
	if _, err := g.TLS("localhost"); err != nil {
		return nil, err
	}
	return o, nil
}

func clashes(name, other string) bool {
	return name == other || name == keyField || name == adapters.SessionHeader || name == adapters.NumberHeader
}

// A reader reads keys until the first error.
type reader struct {
	g   *settings.Group
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) text(key, def string) string {
	v, err := r.g.Text(key, def)
	r.fail(err)
	return v
}

// name is text that may not be empty.
func (r *reader) name(key, def string) string {
	v := r.text(key, def)
	if v == "" && r.err == nil {
		r.fail(r.g.Errorf(key, "write a name, or remove the key", "is empty"))
	}
	return v
}

func (r *reader) secret(key string, env ...string) string {
	v, _, err := r.g.Secret(key, env...)
	r.fail(err)
	return v
}

func (r *reader) yes(key string, def bool) bool {
	v, err := r.g.Bool(key, def)
	r.fail(err)
	return v
}

func (r *reader) number(key string, def, lo, hi int64) int64 {
	v, err := r.g.Int(key, def, lo, hi)
	r.fail(err)
	return v
}

func (r *reader) seconds(key string, def, lo, hi time.Duration) time.Duration {
	v, err := r.g.Duration(key, time.Second, def, lo, hi)
	r.fail(err)
	return v
}
