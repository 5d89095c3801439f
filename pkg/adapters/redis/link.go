// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// idsAtOnce are confirmed with one XACK.
const idsAtOnce = 500

// A link is what a bringer uses: one client that may wait for messages, and one for everything else. giveUp ends what
// others is asked, and no context: a question that was cancelled would cost it the connection, and with that the last
// acknowledgements.
type link struct {
	addr   string
	reads  *goredis.Client
	others *goredis.Client
	conns  []net.Conn
	broken atomic.Bool // others is of no use any more
	once   sync.Once
}

func newLink(ctx context.Context, o *options, addr string) (*link, error) {
	l := &link{addr: addr}
	for _, c := range []**goredis.Client{&l.reads, &l.others} {
		lib, nc, err := o.library(ctx, addr, false)
		if err != nil {
			if l.reads != nil {
				l.interrupt()
			}
			return nil, err
		}
		l.conns = append(l.conns, nc)
		*c = goredis.NewClient(lib)
	}
	return l, nil
}

// interrupt ends a read that waits.
func (l *link) interrupt() { l.once.Do(func() { _, _ = l.reads.Close(), l.conns[0].Close() }) }

// giveUp ends whatever else is asked.
func (l *link) giveUp() { _ = l.conns[1].Close() }

func (l *link) close() {
	l.interrupt()
	_, _ = l.others.Close(), l.conns[1].Close()
}

// result makes the library's error ours, and notes that the connection is of no use any more.
func (l *link) result(err error) error {
	err = fromGoRedis(err)
	var e *serverError
	if err != nil && !errors.As(err, &e) && !errors.Is(err, goredis.Nil) {
		l.broken.Store(true)
	}
	return err
}

// createGroup makes stream and group unless they are there.
func (l *link) createGroup(ctx context.Context, topic, group string, fromStart bool) error {
	start := "$"
	if fromStart {
		start = "0"
	}
	err := l.result(l.others.XGroupCreateMkStream(context.WithoutCancel(ctx), topic, group, start).Err())
	var e *serverError
	if errors.As(err, &e) && e.code() == "BUSYGROUP" {
		return nil
	}
	return err
}

// A stream is what a read has brought of one stream.
type stream struct {
	topic   string
	entries []any
}

// read asks for entries; block below 0 does not wait for any.
func (l *link) read(ctx context.Context, group, consumer string, count int, block time.Duration, topics, ids []string) ([]stream, error) {
	args := []any{"XREADGROUP", "GROUP", group, consumer, "COUNT", count}
	if block >= 0 {
		args = append(args, "BLOCK", max(block.Milliseconds(), 1))
	}
	args = append(args, "STREAMS")
	for _, t := range slices.Concat(topics, ids) {
		args = append(args, t)
	}
	list, err := l.reads.Do(ctx, args...).Slice()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err = fromGoRedis(err); err != nil {
		var e *serverError
		if errors.As(err, &e) && (e.code() == "NOGROUP" || strings.Contains(e.text, "key no longer exists")) {
			return nil, errAgain
		}
		return nil, err
	}
	var got []stream
	for _, item := range list {
		pair, _ := item.([]any)
		if len(pair) != 2 {
			return nil, errReply
		}
		name, _ := pair[0].(string)
		entries, _ := pair[1].([]any)
		got = append(got, stream{name, entries})
	}
	return got, nil
}

// claim takes over entries from other consumers, from cursor on.
func (l *link) claim(ctx context.Context, topic, group, consumer string, idle time.Duration, cursor string, count int) (next string, entries []any, err error) {
	list, err := l.others.Do(context.WithoutCancel(ctx), "XAUTOCLAIM", topic, group, consumer, idle.Milliseconds(), cursor, "COUNT", count).Slice()
	if err = l.result(err); err != nil {
		var e *serverError
		if errors.As(err, &e) && e.code() == "NOGROUP" {
			return "", nil, errAgain
		}
		return "", nil, err
	}
	if len(list) < 2 {
		return "", nil, errReply
	}
	next, _ = list[0].(string)
	entries, _ = list[1].([]any)
	return next, entries, nil
}

// ping asks whether the server is there.
func (l *link) ping(ctx context.Context) error {
	return l.result(l.others.Ping(context.WithoutCancel(ctx)).Err())
}

// ack confirms entries, up to idsAtOnce with a command. giveUp ends it. (Not by the library's Pipeline: that
// would want a connection of its own.) What was confirmed is taken out of acks, and so is what the server
// refuses for good; refused is why.
func (l *link) ack(group string, acks map[string][]string) (refused, failed error) {
	for _, topic := range topicsOf(acks) {
		for ids := range slices.Chunk(acks[topic], idsAtOnce) {
			if l.broken.Load() {
				return refused, errUsed
			}
			err := l.result(l.others.XAck(context.Background(), topic, group, ids...).Err())
			var e *serverError
			if errors.As(err, &e) {
				if _, _, _, redirect := e.redirect(); !redirect && passing[e.code()] == "" {
					refused, err = e, nil // it will not be taken later either; the message comes again
				}
			}
			if err != nil {
				l.broken.Store(true) // the library drops a connection to a server that cannot write
				return refused, err
			}
		}
		delete(acks, topic)
	}
	return refused, nil
}
