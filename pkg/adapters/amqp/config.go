// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// Keys are those of the group [message-broker]; to them come settings.TLSKeys.
var Keys = []settings.Key{
	{Name: "hostname", Doc: "the server, or several separated by commas, when conn-str is empty"},
	{Name: "port", Doc: "port (default 5672; 5671 with TLS)"},
	{Name: "username", Doc: "user (default guest); the environment's USER_AMQP wins"},
	{Name: "password", Secret: true, Doc: "password (default guest); the environment's PASSWORD_AMQP wins"},
	{Name: "vhost", Doc: "virtual host (default /)"},
	{Name: "exchange", Doc: "exchange to publish to and to bind queues to (default amq.topic)"},
	{Name: "exchange-type", Doc: "declare the exchange, as topic, direct, fanout or headers (default: it must be there)"},
	{Name: "topic", Doc: "routing key of messages that have none (default deepstream_topic)"},
	{Name: "amqp-framesize", Doc: "largest frame in bytes, 4096 to 1048576 (default 131072)"},
	{Name: "amqp-heartbeat", Doc: "seconds between signs of life, 0 to 3600 (default 10; 0: what the server proposes)"},
	{Name: "auth-mechanism", Doc: "PLAIN (default) or EXTERNAL: the user is who the client's certificate says"},
	{Name: "mandatory", Doc: "a message that no queue takes is refused by the server and counts as failed (default true; false: it vanishes)"},
	{Name: "persistent", Doc: "durable queues keep messages on disk (default true)"},
	{Name: "durable", Doc: "exchange and queues that are declared outlive a restart of the server (default true)"},
	{Name: "content-type", Doc: "content type of all messages (default: application/json for what begins as JSON, else application/octet-stream)"},
	{Name: "consumer-group", Doc: "queue of subscriptions that name no group (default: a queue of their own that ends with them)"},
	{Name: "queue-type", Doc: "classic or quorum, of queues that are declared (default: the server's)"},
}

const (
	connStrForm = `write host;port, host;port;user, host;port;user;password or amqp://user:password@host:port/vhost, such as "localhost;5672"`

	defaultPort      = 5672
	defaultPortTLS   = 5671
	defaultUser      = "guest"
	defaultExchange  = "amq.topic"
	defaultTopic     = "deepstream_topic"
	defaultFrame     = 131072
	defaultHeartbeat = 10 * time.Second
)

// A set is what the user has said.
type set struct {
	group      *settings.Group
	hosts      []settings.Server
	secure     bool // by amqps://
	user       string
	password   string
	vhost      string
	exchange   string
	kind       string // exchange-type
	topic      string
	frame      int
	heartbeat  time.Duration
	external   bool
	mandatory  bool
	persistent bool
	durable    bool
	content    string
	consumers  string // consumer-group
	queueType  string
}

// tls is the configuration for a connection to a host; nil without TLS.
func (s *set) tls(name string) (*tls.Config, error) {
	c, err := s.group.TLS(name)
	if c == nil && err == nil && s.secure {
		if s.group.Has("tls") {
			return nil, s.group.Errorf("tls", "remove it, or write amqp:// instead of amqps://", "says the opposite of amqps:// in conn-str")
		}
		c = &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	}
	return c, err
}

// where names all hosts.
func (s *set) where() string { return settings.JoinServers(s.hosts) }

func load(cfg adapters.Config, log func(adapters.LogEntry)) (*set, error) {
	g, err := settings.Load(cfg.ConfigPath, slices.Concat(Keys, settings.TLSKeys), cfg.Strict, log)
	if err != nil {
		return nil, err
	}
	s := &set{group: g}
	if err := s.parseConnStr(cfg.ConnStr); err != nil {
		return nil, err
	}
	for _, read := range []func() error{s.loadServers, s.loadUser, s.loadRest} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// parseConnStr takes DeepStream's forms and URIs. What follows the port is never repeated in an error.
func (s *set) parseConnStr(text string) error {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		if scheme != "amqp" && scheme != "amqps" {
			return fmt.Errorf("conn-str: the scheme %q is neither amqp nor amqps; %s", scheme, connStrForm)
		}
		u, err := rabbit.ParseURI(text)
		if err != nil {
			return fmt.Errorf("conn-str: this is no URI of AMQP; percent-encode special characters of user and password (@ is %%40, / is %%2F), or %s", connStrForm)
		}
		s.secure = u.Scheme == "amqps"
		s.hosts = []settings.Server{{Host: u.Host, Port: u.Port}}
		if strings.Contains(strings.TrimPrefix(text, scheme+"://"), "@") {
			s.user, s.password = u.Username, u.Password
		}
		if _, path, _ := strings.Cut(strings.TrimPrefix(text, scheme+"://"), "/"); path != "" {
			s.vhost = u.Vhost
		}
		return nil
	}
	parts := strings.Split(text, ";")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	shown := strings.Join(parts[:min(len(parts), 2)], ";")
	if len(parts) > 2 {
		shown += ";…"
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("conn-str %q: %s; %s", shown, fmt.Sprintf(format, args...), connStrForm)
	}
	switch {
	case len(parts) > 4:
		return fail("%d parts between semicolons, at most 4 are expected", len(parts))
	case len(parts) == 1:
		if h, p, err := net.SplitHostPort(parts[0]); err == nil && h != "" && p != "" {
			return fail("host and port are separated by a colon, a semicolon is expected")
		}
		return fail("the port is missing")
	}
	port, err := settings.ParsePort(parts[1])
	if err != nil {
		return fail("%v", err)
	}
	if s.hosts, err = settings.ParseServers(parts[0], port); err != nil {
		return fail("%v", err)
	}
	if len(parts) > 2 {
		s.user = parts[2]
	}
	if len(parts) > 3 {
		s.password = parts[3]
	}
	return nil
}

func (s *set) loadServers() error {
	if len(s.hosts) > 0 {
		return nil
	}
	names, err := s.group.Text("hostname", "")
	if err != nil {
		return err
	}
	if names == "" {
		return fmt.Errorf("neither conn-str nor hostname in the configuration file names a server; %s", connStrForm)
	}
	secure, err := s.group.UsesTLS()
	if err != nil {
		return err
	}
	port := int64(defaultPort)
	if secure {
		port = defaultPortTLS
	}
	if port, err = s.group.Int("port", port, 1, 65535); err != nil {
		return err
	}
	if s.hosts, err = settings.ParseServers(names, int(port)); err != nil {
		return s.group.Errorf("hostname", "write the name or the address of the server", "%v", err)
	}
	return nil
}

func (s *set) loadUser() error {
	mechanism, err := s.group.Choice("auth-mechanism", "PLAIN", "EXTERNAL")
	if err != nil {
		return err
	}
	if s.external = mechanism == "EXTERNAL"; s.external {
		if !s.group.Has("tls-cert-file") {
			return s.group.Errorf("auth-mechanism", "set tls-cert-file and tls-key-file", "EXTERNAL needs a client's certificate")
		}
		return nil
	}
	if s.user == "" {
		if s.user = settings.Getenv("USER_AMQP"); s.user == "" {
			if s.user, err = s.group.Text("username", defaultUser); err != nil {
				return err
			}
		}
	}
	if s.password == "" {
		if s.password, _, err = s.group.Secret("password", "PASSWORD_AMQP"); err != nil {
			return err
		}
		if s.password == "" && s.user == defaultUser {
			s.password = defaultUser
		}
	}
	return nil
}

func (s *set) loadRest() (err error) {
	g := s.group
	text := func(dst *string, key, def string, longest int) {
		if err != nil || *dst != "" {
			return
		}
		if *dst, err = g.Text(key, def); err == nil && len(*dst) > longest {
			err = g.Errorf(key, fmt.Sprintf("write at most %d bytes", longest), "is too long")
		}
	}
	flag := func(dst *bool, key string) {
		if err == nil {
			*dst, err = g.Bool(key, true)
		}
	}
	text(&s.vhost, "vhost", "/", 255)
	text(&s.exchange, "exchange", defaultExchange, 255)
	text(&s.topic, "topic", defaultTopic, 255)
	text(&s.content, "content-type", "", 255)
	text(&s.consumers, "consumer-group", "", 255)
	flag(&s.mandatory, "mandatory")
	flag(&s.persistent, "persistent")
	flag(&s.durable, "durable")
	if err == nil && g.Has("exchange-type") {
		s.kind, err = g.Choice("exchange-type", "topic", "direct", "fanout", "headers")
	}
	if err == nil && g.Has("queue-type") {
		s.queueType, err = g.Choice("queue-type", "classic", "quorum")
	}
	if err != nil {
		return err
	}
	frame, err := g.Int("amqp-framesize", defaultFrame, 4096, 1<<20)
	if err != nil {
		return err
	}
	s.frame = int(frame)
	s.heartbeat, err = g.Duration("amqp-heartbeat", time.Second, defaultHeartbeat, 0, time.Hour)
	return err
}
