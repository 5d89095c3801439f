// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	dialPatience  = 10 * time.Second       // TCP, TLS and AMQP until the connection stands
	partPatience  = 5 * time.Second        // of the goodbye, which the last acknowledgements go before …
	closePatience = 400 * time.Millisecond // … and when it is Close that says it
	unitPatience  = 450 * time.Millisecond // of Close as a whole
)

// A link is a connection to a server, until it is lost or the conn is closed.
type link struct {
	*rabbit.Connection
	wire   *wire
	secure bool
	closed chan *rabbit.Error
	blocks chan rabbit.Blocking

	parting sync.Once
	over    chan struct{}
	wg      sync.WaitGroup
}

// A lost error is why a connection was not made, or was lost.
type lostError struct {
	cause  error // of the network; nil when the server has said why
	server *rabbit.Error
	secure bool
}

func (e *lostError) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return e.server.Error()
}

// dial connects to the next of the hosts. It ends early when stop is closed.
func (c *conn) dial(l listener, purpose string) (*link, error) {
	h := c.set.hosts[int(c.tries.Add(1)-1)%len(c.set.hosts)]
	config, err := c.set.tls(h.Host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialPatience)
	defer cancel()
	// Cancelled by stop, too.
	var wg sync.WaitGroup
	dialed := make(chan struct{})
	safe.Go(&wg, "end of an attempt", nil, func() {
		select {
		case <-c.Stop:
			cancel()
		case <-dialed:
		}
	})
	defer wg.Wait()
	defer close(dialed)
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.String())
	if err != nil {
		return nil, &lostError{cause: err, secure: config != nil}
	}
	if config != nil {
		secured := tls.Client(raw, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, &lostError{cause: err, secure: true}
		}
		raw = secured
	}
	k := &link{wire: newWire(raw, l), secure: config != nil, over: make(chan struct{})}
	var standing atomic.Pointer[rabbit.Connection]
	safe.Go(&k.wg, "end of a connection", nil, func() {
		select {
		case <-c.Stop:
			timer := time.AfterFunc(closePatience, func() { _ = k.wire.Close() })
			defer timer.Stop()
			if r := standing.Load(); r != nil {
				k.goodbye(r)
			}
			_ = k.wire.Close()
		case <-k.over:
		}
	})
	_ = k.wire.SetDeadline(time.Now().Add(dialPatience))
	k.Connection, err = rabbit.Open(k.wire, c.config(purpose))
	if err != nil {
		k.end()
		return nil, k.lost(err)
	}
	standing.Store(k.Connection)
	k.closed = k.NotifyClose(make(chan *rabbit.Error, 1))
	k.blocks = k.NotifyBlocked(make(chan rabbit.Blocking, 16))
	return k, nil
}

func (c *conn) config(purpose string) rabbit.Config {
	auth := rabbit.Authentication(&rabbit.PlainAuth{Username: c.set.user, Password: c.set.password})
	if c.set.external {
		auth = &rabbit.ExternalAuth{}
	}
	return rabbit.Config{SASL: []rabbit.Authentication{auth}, Vhost: c.set.vhost, FrameSize: c.set.frame, Heartbeat: c.set.heartbeat,
		Locale: "en_US", Properties: rabbit.Table{"product": appID, "platform": runtime.Version(), "connection_name": appID + " " + purpose}}
}

// lost explains the end of the connection. What the network says is closer to the truth than what the library
// makes of it.
func (k *link) lost(err error) error {
	var re *rabbit.Error
	errors.As(err, &re)
	if re != nil && re.Server {
		return &lostError{server: re, secure: k.secure}
	}
	if re == rabbit.ErrCredentials || re == rabbit.ErrSASL || re == rabbit.ErrVhost {
		if cause := k.wire.cause(); k.secure && cause != nil && strings.Contains(cause.Error(), "tls:") {
			return &lostError{cause: cause, secure: true}
		}
		return &lostError{server: re, secure: k.secure}
	}
	if cause := k.wire.cause(); cause != nil {
		return &lostError{cause: cause, secure: k.secure}
	}
	if re != nil {
		return &lostError{server: re, secure: k.secure}
	}
	return &lostError{cause: err, secure: k.secure}
}

// goodbye ends the connection in an orderly way if it stands. Whoever comes second waits for the first: closing the
// wire meanwhile would lose the acknowledgements that are on their way.
func (k *link) goodbye(r *rabbit.Connection) {
	k.parting.Do(func() { _ = r.CloseDeadline(time.Now().Add(partPatience)) })
}

// end closes the link, in an orderly way if it stands, and joins what it has started.
func (k *link) end() {
	if k.Connection != nil {
		k.goodbye(k.Connection)
	}
	_ = k.wire.Close()
	close(k.over)
	k.wg.Wait()
	k.wire.wait()
}

// reason words an error for a person.
func (s *set) reason(err error) string {
	var lost *lostError
	if !errors.As(err, &lost) {
		var re *rabbit.Error
		if !errors.As(err, &re) {
			return s.group.Mask(err.Error())
		}
		lost = &lostError{server: re}
	}
	if lost.cause != nil {
		if text := outbox.Reason(lost.cause, lost.secure); text != "" {
			return s.group.Mask(text)
		}
		if text := lost.cause.Error(); strings.Contains(text, "; ") {
			return s.group.Mask(text)
		}
		return s.group.Mask(lost.cause.Error() + "; check host and port")
	}
	e := lost.server
	text := strings.TrimSuffix(strings.TrimSpace(e.Reason), ".")
	// RabbitMQ writes NOT_FOUND - no exchange …
	if _, rest, ok := strings.Cut(text, " - "); ok && strings.ToUpper(text[:len(text)-len(rest)]) == text[:len(text)-len(rest)] {
		text = rest
	}
	remedy := "see the server's log"
	switch {
	case e == rabbit.ErrSASL:
		text, remedy = "the server does not offer the mechanism of auth-mechanism", "enable it there (EXTERNAL: rabbitmq_auth_mechanism_ssl), or choose the other one"
	case e == rabbit.ErrCredentials && s.external:
		text, remedy = "the server refuses the user of our certificate", "make a user of the certificate's name (see ssl_cert_login_from)"
	case e == rabbit.ErrCredentials:
		text, remedy = "the server refuses the user "+s.user, "check username and password, and that this user may connect from here"
	case e.Code == rabbit.ConnectionForced:
		text, remedy = "the server closes the connection: "+text, "it is being stopped, or someone has closed the connection by hand"
	case e.Code == rabbit.NotFound:
		remedy = "create it, correct exchange or vhost, or let exchange-type create the exchange"
	case e.Code == rabbit.AccessRefused:
		remedy = "grant this user the right to write to the exchange and to read from it"
	case e.Code == rabbit.NotAllowed:
		remedy = "check vhost, and that the user may use it (rabbitmqctl set_permissions)"
	case e.Code == rabbit.PreconditionFailed:
		remedy = "what is declared exists with other settings: delete it, or change exchange-type, durable or queue-type"
	}
	return s.group.Mask(text + "; " + remedy)
}
