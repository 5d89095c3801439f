// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// dialTimeout bounds the way to a connection, and the greeting on it. Tests shorten it.
var dialTimeout = 5 * time.Second

const (
	// What a Redis takes in one message by default (proto-max-bulk-len).
	defaultMaxBulk = 512 << 20
)

// A handshakeError is one of TLS.
type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

// dial opens a connection, with TLS if that is on. Certificates are read for each connection.
func (o *options) dial(ctx context.Context, addr string, withTLS bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil || !withTLS {
		return nc, err
	}
	host, _, _ := net.SplitHostPort(addr)
	tc, err := o.group.TLS(host)
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	secure := tls.Client(nc, tc)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, &handshakeError{err}
	}
	return secure, nil
}

// An only is the one connection of a client of go-redis. Its type hides the socket: the library would look at
// that before each use, and make another connection of its own accord.
type only struct{ net.Conn }

var errUsed = errors.New("the connection was lost")

// library opens a connection and gives the options of a go-redis client that uses it and no other, retries
// nothing, and so says nothing: the library writes a line to standard error about a connection that it
// cannot make. The client is of no use after its first network error.
func (o *options) library(ctx context.Context, addr string, sentinel bool) (*goredis.Options, net.Conn, error) {
	g := &goredis.Options{Addr: addr, Protocol: 2, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, PoolSize: 1,
		ConnMaxIdleTime: -1, WriteTimeout: o.patience, ReadTimeout: o.patience, ContextTimeoutEnabled: true}
	who, withTLS := identity{o.username, o.password, o.db, o.clientName}, o.tls
	if sentinel {
		who, withTLS = identity{o.sentinelUsername, o.sentinelPassword, 0, o.clientName}, o.sentinelTLS
	}
	nc, err := o.dial(ctx, addr, withTLS)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	// The library would take it amiss that a user may not name its connection.
	if _, err := who.greet(nc, newReplyReader(nc)); err != nil {
		_ = nc.Close()
		return nil, nil, err
	}
	var used atomic.Bool
	g.Dialer = func(context.Context, string, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errUsed
		}
		return only{nc}, nil
	}
	return g, nc, nil
}

// An identity is what a connection says about itself.
type identity struct {
	username, password string
	db                 int
	clientName         string
}

// greet says on a new connection who we are, and hears whether the server can work. maxBulk is the largest
// payload that it takes; 0 when it does not tell.
func (who identity) greet(nc net.Conn, r *replyReader) (maxBulk int64, err error) {
	var out []byte
	words := func(w ...string) {
		out = append(out, '*')
		out = strconv.AppendInt(out, int64(len(w)), 10)
		out = append(out, '\r', '\n')
		for _, s := range w {
			out = bulk(out, s)
		}
	}
	must := 0 // answers that must not be errors
	if who.password != "" {
		must++
		if who.username != "" {
			words("AUTH", who.username, who.password)
		} else {
			words("AUTH", who.password)
		}
	}
	if who.db != 0 {
		must++
		words("SELECT", strconv.Itoa(who.db))
	}
	words("CLIENT", "SETNAME", who.clientName)
	words("CONFIG", "GET", "proto-max-bulk-len")
	words("PING")
	if err := nc.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return 0, err
	}
	if _, err := nc.Write(out); err != nil {
		return 0, err
	}
	// Answers are read to the end: the first that is an error says why.
	for i := range must + 3 {
		_, list, e := r.value()
		refused, answered := e.(*serverError)
		switch {
		case e != nil && !answered:
			if err == nil {
				err = e
			}
			return 0, err
		case e == nil:
			if len(list) == 2 {
				maxBulk, _ = strconv.ParseInt(list[1], 10, 64)
			}
		case err != nil:
		case i < must, passing[refused.code()] != "":
			err = e
			// A user may be denied CLIENT, CONFIG and even PING.
		}
	}
	if err != nil {
		return 0, err
	}
	return maxBulk, nc.SetDeadline(time.Time{})
}
