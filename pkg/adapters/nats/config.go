// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// Keys are those of the group [message-broker]; to them come settings.TLSKeys.
var Keys = []settings.Key{
	{Name: "hostname", Doc: "the server, or several separated by commas, when conn-str is empty"},
	{Name: "port", Doc: "port (default 4222)"},
	{Name: "topic", Doc: "subject of messages that have none (default edgewire)"},
	{Name: "username", Doc: "user; the environment's USER_NATS wins"},
	{Name: "password", Secret: true, Doc: "password; the environment's PASSWORD_NATS wins"},
	{Name: "token", Secret: true, Doc: "token, in place of user and password; the environment's TOKEN_NATS wins"},
	{Name: "nkey", Secret: true, Doc: "seed of an NKey of a user (SU…)"},
	{Name: "credentials-file", Doc: "file with a user's JWT and seed, as nsc writes it"},
	{Name: "jetstream", Doc: "publish to JetStream, with acknowledgement (default true; false: whoever listens has it, nobody keeps it)"},
	{Name: "stream", Doc: "the stream that must take the messages (default: whichever has the subject)"},
	{Name: "stream-create", Doc: "make the stream if it is not there (default false)"},
	{Name: "stream-subjects", Doc: "subjects of a stream that is made, separated by ; (default: topic)"},
	{Name: "stream-storage", Doc: "file (default) or memory, of a stream that is made"},
	{Name: "stream-replicas", Doc: "copies of a stream that is made, 1 to 5 (default 1)"},
	{Name: "stream-max-bytes", Doc: "bound of a stream that is made; the oldest messages go (default 0: none)"},
	{Name: "stream-max-age", Doc: "seconds after which messages of a stream that is made go (default 0: never)"},
	{Name: "duplicate-window", Doc: "seconds within which a stream that is made drops messages sent twice (default 120)"},
	{Name: "consumer-group", Doc: "durable consumer of subscriptions that name no group (default: one that ends with them)"},
	{Name: "ack-wait", Doc: "seconds after which a message of a receiver that has vanished comes again (default 5)"},
	{Name: "inbox-prefix", Doc: "subject under which replies arrive (default _INBOX)"},
}

const (
	connStrForm  = `write host;port or nats://host:port, such as "localhost;4222"`
	defaultPort  = 4222
	defaultTopic = "edgewire"
)

// A set is what the user has said.
type set struct {
	group     *settings.Group
	servers   []*url.URL
	topic     string
	jetstream bool
	inbox     string
	consumers string
	ackWait   time.Duration

	stream   string
	create   bool
	subjects []string
	memory   bool
	replicas int
	maxBytes int64
	maxAge   time.Duration
	window   time.Duration
}

func (s *set) where() string {
	names := make([]string, len(s.servers))
	for i, u := range s.servers {
		names[i] = u.Host
	}
	return strings.Join(names, ",")
}

func load(cfg adapters.Config, log func(adapters.LogEntry)) (*set, error) {
	g, err := settings.Load(cfg.ConfigPath, slices.Concat(Keys, settings.TLSKeys), cfg.Strict, log)
	if err != nil {
		return nil, err
	}
	s := &set{group: g}
	if err := s.parseConnStr(strings.TrimSpace(cfg.ConnStr)); err != nil {
		return nil, err
	}
	if err := s.loadRest(); err != nil {
		return nil, err
	}
	for key, subjects := range map[string][]string{"topic": {s.topic}, "inbox-prefix": {s.inbox}, "stream-subjects": s.subjects} {
		for _, x := range subjects {
			if err := checkSubject(x, key == "stream-subjects"); err != nil {
				cause, remedy, _ := strings.Cut(err.Error(), "; ")
				return nil, g.Errorf(key, remedy, "%s", cause)
			}
		}
	}
	if s.create && s.stream == "" {
		return nil, g.Errorf("stream-create", "set stream", "a stream that is to be made needs a name")
	}
	return s, nil
}

func (s *set) parseConnStr(text string) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("conn-str: %s; %s", fmt.Sprintf(format, args...), connStrForm)
	}
	names, port := text, defaultPort
	switch {
	case text == "":
		var err error
		if names, err = s.group.Text("hostname", ""); err != nil {
			return err
		}
		if names == "" {
			return fmt.Errorf("neither conn-str nor hostname in the configuration file names a server; %s", connStrForm)
		}
		n, err := s.group.Int("port", defaultPort, 1, 65535)
		if err != nil {
			return err
		}
		port = int(n)
	case strings.Contains(text, "://"):
		for part := range strings.SplitSeq(text, ",") {
			u, err := url.Parse(strings.TrimSpace(part))
			if err != nil || u.Hostname() == "" { // the text may hold a password
				return fail("this is no URL of NATS")
			}
			if u.Scheme != "nats" && u.Scheme != "tls" {
				return fail("the scheme %q is neither nats nor tls", u.Scheme)
			}
			if u.User != nil {
				return fail("user and password stand in the configuration file (username, password, token), not in the URL")
			}
			if u.Port() == "" {
				u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(defaultPort))
			}
			s.servers = append(s.servers, u)
		}
		return nil
	default:
		parts := strings.Split(text, ";")
		switch {
		case len(parts) == 1:
			return fail("the port is missing")
		case len(parts) > 2:
			return fail("%d parts between semicolons, 2 are expected", len(parts))
		}
		var err error
		if port, err = settings.ParsePort(strings.TrimSpace(parts[1])); err != nil {
			return fail("%v", err)
		}
		names = parts[0]
	}
	servers, err := settings.ParseServers(names, port)
	if err != nil {
		return fail("%v", err)
	}
	for _, x := range servers {
		s.servers = append(s.servers, &url.URL{Scheme: "nats", Host: x.String()})
	}
	return nil
}

func (s *set) loadRest() (err error) {
	g := s.group
	each := func(steps ...func() error) {
		for _, step := range steps {
			if err == nil {
				err = step()
			}
		}
	}
	text := func(dst *string, key, def string) func() error {
		return func() (err error) { *dst, err = g.Text(key, def); return }
	}
	number := func(dst *int64, key string, def, lo, hi int64) func() error {
		return func() (err error) { *dst, err = g.Int(key, def, lo, hi); return }
	}
	seconds := func(dst *time.Duration, key string, def, lo, hi time.Duration) func() error {
		return func() (err error) { *dst, err = g.Duration(key, time.Second, def, lo, hi); return }
	}
	flag := func(dst *bool, key string, def bool) func() error {
		return func() (err error) { *dst, err = g.Bool(key, def); return }
	}
	var replicas int64
	storage := ""
	each(text(&s.topic, "topic", defaultTopic), text(&s.stream, "stream", ""), text(&s.inbox, "inbox-prefix", "_INBOX"),
		text(&s.consumers, "consumer-group", ""), flag(&s.jetstream, "jetstream", true), flag(&s.create, "stream-create", false),
		number(&replicas, "stream-replicas", 1, 1, 5), number(&s.maxBytes, "stream-max-bytes", 0, 0, 1<<50),
		seconds(&s.maxAge, "stream-max-age", 0, 0, 100*365*24*time.Hour), seconds(&s.window, "duplicate-window", 2*time.Minute, 0, 24*time.Hour),
		seconds(&s.ackWait, "ack-wait", 5*time.Second, time.Second, time.Hour),
		func() (err error) { s.subjects, err = g.List("stream-subjects"); return },
		func() (err error) { storage, err = g.Choice("stream-storage", "file", "memory"); return })
	s.replicas, s.memory = int(replicas), storage == "memory"
	if len(s.subjects) == 0 {
		s.subjects = []string{s.topic}
	}
	return err
}

// auth finds out who we are. It is asked for each connection, so that secrets can be replaced without a stop.
func (s *set) auth() ([]client.Option, error) {
	g := s.group
	credentials, err := g.CredentialsFile("credentials-file")
	if err != nil {
		return nil, err
	}
	if credentials != nil {
		return s.credentials(credentials)
	}
	seed, _, err := g.Secret("nkey")
	if err != nil {
		return nil, err
	}
	if seed != "" {
		pair, err := nkeys.FromSeed([]byte(seed))
		if err != nil {
			return nil, g.Errorf("nkey", "write the seed of a user, which begins with SU", "is no seed of an NKey")
		}
		public, err := pair.PublicKey()
		if err != nil || !nkeys.IsValidPublicUserKey(public) {
			return nil, g.Errorf("nkey", "write the seed of a user, which begins with SU", "is not the seed of a user")
		}
		return []client.Option{client.Nkey(public, pair.Sign)}, nil
	}
	token, _, err := g.Secret("token", "TOKEN_NATS")
	if err != nil {
		return nil, err
	}
	if token != "" {
		return []client.Option{client.Token(token)}, nil
	}
	user := settings.Getenv("USER_NATS")
	if user == "" {
		if user, err = g.Text("username", ""); err != nil || user == "" {
			return nil, err
		}
	}
	password, _, err := g.Secret("password", "PASSWORD_NATS")
	if err != nil {
		return nil, err
	}
	return []client.Option{client.UserInfo(user, password)}, nil
}

// credentials takes JWT and seed out of a file of nsc's.
func (s *set) credentials(text []byte) ([]client.Option, error) {
	const remedy = "name the file that nsc has written for the user (nsc generate creds)"
	fail := func(cause string) error { return s.group.Errorf("credentials-file", remedy, "%s", cause) }
	token, err := nkeys.ParseDecoratedJWT(text)
	if err != nil || strings.Count(token, ".") != 2 {
		return nil, fail("the file holds no JWT")
	}
	pair, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return nil, fail("the file holds no seed of a user")
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fail("the file holds no seed of a user")
	}
	s.group.Hide(string(seed))
	return []client.Option{client.UserJWTAndSeed(token, string(seed))}, nil
}
