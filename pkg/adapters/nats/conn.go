// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	dialPatience  = 5 * time.Second
	askPatience   = 5 * time.Second // for an answer of JetStream's own
	closePatience = 450 * time.Millisecond
	pingInterval  = 10 * time.Second
)

// A conn publishes over one connection and receives over another.
type conn struct {
	outbox.Conn
	set   *set
	ctx   context.Context // ends with Stop
	tries atomic.Uint32   // attempts to connect, for the next of several servers

	maxPayload atomic.Int64 // what the server takes, as far as is known; 0 means anything

	publisher  publisher
	subscriber subscriber
}

func start(cfg adapters.Config, set *set, sink adapters.Sink) *conn {
	c := &conn{set: set}
	c.Prepare(cfg, set.where(), sink)
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithCancel(context.Background())
	c.Go("end of "+set.where(), func() { <-c.Stop; cancel() })
	c.publisher.prepare(c)
	c.subscriber.prepare(c)
	c.Begin(c.publisher.run, &c.subscriber.Subscriber)
	return c
}

// Info is what the configuration says.
func (c *conn) Info() adapters.Info { return c.set.info() }

func (s *set) info() adapters.Info { return adapters.Info{Host: s.where(), Topic: s.topic} }

// Publish takes messages for as long as there is room, and refuses those that the server cannot take.
func (c *conn) Publish(b *adapters.Batch, from int) (int, error) {
	return c.PutChecked(b, from, c.check)
}

// check gives the error of a message that is refused without asking the server.
func (c *conn) check(m *adapters.Message) error {
	if err := checkSubject(string(m.Topic), false); err != nil {
		cause, remedy, _ := strings.Cut(err.Error(), "; ")
		return c.DeliveryError(adapters.ErrRejected, string(m.Topic), cause, remedy)
	}
	var err error
	size := len(m.Payload) + len(m.Key) + headerRoom
	m.Headers.Each(func(name, value []byte) bool {
		size += len(name) + len(value) + 4
		if len(name) == 0 || strings.ContainsFunc(string(name), func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) {
			err = c.DeliveryError(adapters.ErrRejected, string(m.Topic), fmt.Sprintf("the header %q has a name that NATS cannot carry", name),
				"use letters, digits and - in names")
		} else if strings.ContainsAny(string(value), "\r\n\x00") {
			err = c.DeliveryError(adapters.ErrRejected, string(m.Topic), fmt.Sprintf("the header %s holds a line break or NUL, which NATS cannot carry", name),
				"use one line of text")
		}
		return err == nil
	})
	if limit := c.maxPayload.Load(); err == nil && limit > 0 && int64(size) > limit {
		err = c.tooLarge(string(m.Topic), len(m.Payload))
	}
	return err
}

func (c *conn) tooLarge(topic string, size int) error {
	return c.DeliveryError(adapters.ErrTooLarge, topic, fmt.Sprintf("the message of %d bytes is, with its headers, larger than the server's max_payload, %d",
		size, c.maxPayload.Load()), "raise max_payload at the server, or send less")
}

// Close ends the connections and gives up what has no Result.
func (c *conn) Close() error {
	c.End(&c.subscriber.Subscriber, closePatience)
	return nil
}

// A link is a connection to a server, until it is lost or the conn is closed.
type link struct {
	*client.Conn
	js     jetstream.JetStream
	raw    *cut  // nil until the dialer has made it
	dialed error // of the dialer
	secure bool
	closed chan struct{}
	errors chan error // that belong to no call
	over   chan struct{}
	wg     sync.WaitGroup
}

// dial connects to the next of the servers. It ends early when the conn is closed.
func (c *conn) dial(goodbye time.Duration) (*link, error) {
	u := c.set.servers[int(c.tries.Add(1)-1)%len(c.set.servers)]
	config, err := c.set.group.TLS(u.Hostname())
	if err != nil {
		return nil, err
	}
	if config == nil && u.Scheme == "tls" {
		config = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	opts, err := c.set.auth()
	if err != nil {
		return nil, err
	}
	k := &link{secure: config != nil, closed: make(chan struct{}), errors: make(chan error, 64), over: make(chan struct{})}
	opts = append(opts, client.NoReconnect(), client.Name("gst-edgewire"), client.Timeout(dialPatience), client.CustomInboxPrefix(c.set.inbox),
		client.PingInterval(pingInterval), client.MaxPingsOutstanding(2), client.SetCustomDialer(dialer{c, k}), client.IgnoreDiscoveredServers(),
		client.ClosedHandler(func(*client.Conn) { close(k.closed) }),
		client.ErrorHandler(func(_ *client.Conn, _ *client.Subscription, err error) {
			select {
			case k.errors <- err:
			default:
			}
		}))
	if config != nil {
		opts = append(opts, client.Secure(config))
	}
	k.Conn, err = client.Connect("nats://"+u.Host, opts...)
	if k.raw != nil {
		k.raw.greeted.Store(true)
	}
	if err != nil {
		if k.raw != nil {
			_ = k.raw.Close()
		}
		if k.dialed != nil { // the library forgets it
			err = k.dialed
		}
		return nil, &lostError{err, k.secure}
	}
	k.raw.forget() // from here on it is the goodbye that is bounded
	safe.Go(&k.wg, "end of a connection", nil, func() {
		select {
		case <-c.Stop:
			// A goodbye that takes longer is cut short.
			if outbox.Sleep(goodbye, k.over) {
				_ = k.raw.Close()
			}
		case <-k.over:
		}
	})
	if k.js, err = jetstream.New(k.Conn, jetstream.WithDefaultTimeout(askPatience)); err != nil {
		k.end()
		return nil, err
	}
	c.maxPayload.Store(k.MaxPayload())
	return k, nil
}

// A lostError is why a connection was not made, or was lost.
type lostError struct {
	cause  error
	secure bool
}

func (e *lostError) Error() string { return e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

type dialer struct {
	c *conn
	k *link
}

// Dial connects for as long as the conn is open.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.c.ctx, dialPatience)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if d.k.dialed = err; err != nil {
		return nil, err
	}
	d.k.raw = newCut(d.c.ctx, raw)
	return d.k.raw, nil
}

// SkipTLSHandshake is false: the library does that.
func (dialer) SkipTLSHandshake() bool { return false }

// A cut ends what waits for the server's first words when the conn is closed: at once, since there is nothing
// to say goodbye to. Later words have a little time.
type cut struct {
	net.Conn
	ctx     context.Context // ends when the conn is closed
	greeted atomic.Bool
	forget  func() bool
}

func newCut(ctx context.Context, raw net.Conn) *cut {
	c := &cut{Conn: raw, ctx: ctx}
	c.forget = context.AfterFunc(ctx, c.end)
	return c
}

func (c *cut) end() {
	patience := time.Duration(0)
	if c.greeted.Load() {
		patience = closePatience / 2
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
}

// SetDeadline is called by the library around the greeting. It does not lift the end.
func (c *cut) SetDeadline(t time.Time) error {
	err := c.Conn.SetDeadline(t)
	if c.ctx.Err() != nil {
		c.end()
	}
	return err
}

// Close ends the connection.
func (c *cut) Close() error {
	c.forget()
	return c.Conn.Close()
}

// lost is why the connection ended.
func (k *link) lost() error {
	err := k.LastError()
	if err == nil {
		err = client.ErrConnectionClosed
	}
	return &lostError{err, k.secure}
}

var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]*)"`)

// A deniedError is what the server does not let us do, which it tells beside the question that has no answer then.
type deniedError struct{ to, subject string }

func (e *deniedError) Error() string {
	if e.to == "publish" {
		return "the server does not let us ask " + e.subject + ", which JetStream needs; grant this user publish on $JS.API.>, or set jetstream=false"
	}
	return "the server does not let us receive answers at " + e.subject + "; set inbox-prefix to a subject that this user may subscribe to, or grant it"
}

// explain is err, or why a question had no answer.
func (k *link) explain(err error) error {
	if !errors.Is(err, client.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, client.ErrNoResponders) {
		return err
	}
	for {
		select {
		case beside := <-k.errors:
			if m := violation.FindStringSubmatch(beside.Error()); m != nil && errors.Is(beside, client.ErrPermissionViolation) {
				return &deniedError{strings.ToLower(m[1]), m[2]}
			}
		default:
			return err
		}
	}
}

// end closes the link.
func (k *link) end() {
	close(k.over)
	_ = k.raw.Close()
	k.Close()
	k.wg.Wait()
}

// reason words an error for a person.
func (s *set) reason(err error) string {
	var lost *lostError
	secure := errors.As(err, &lost) && lost.secure
	text := ""
	low := strings.ToLower(err.Error())
	var denied *deniedError
	switch {
	case errors.As(err, &denied):
		text = denied.Error()
	case errors.Is(err, client.ErrAuthorization) || errors.Is(err, client.ErrAuthExpired) || strings.Contains(low, "authorization violation"):
		text = "the server refuses us: authorisation violation; check username, password, token, nkey or credentials-file"
	case errors.Is(err, client.ErrSecureConnRequired):
		text = "the server wants TLS; set tls=true and tls-ca-file"
	case errors.Is(err, client.ErrSecureConnWanted):
		text = "the server has no TLS; turn TLS off, or on at the server"
	case errors.Is(err, client.ErrNoInfoReceived):
		text = "the server sends no greeting of NATS; check that the port is that of NATS"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		text = "JetStream is not enabled; enable it at the server (nats-server -js), or set jetstream=false"
	case errors.Is(err, jetstream.ErrStreamNotFound):
		text = "the stream " + s.stream + " does not exist; create it, or set stream-create=true"
	case errors.Is(err, client.ErrStaleConnection):
		text = "the server does not answer; check the network and that the server is well"
	case errors.Is(err, client.ErrConnectionClosed):
		text = "the connection was lost; check the server and the network"
	default:
		if text = outbox.Reason(err, secure); text == "" {
			if text = err.Error(); !strings.Contains(text, "; ") {
				text += "; see the server's log"
			}
		}
	}
	return s.group.Mask(text)
}
