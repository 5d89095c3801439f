// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A link is a connection to a server with its queue.
type link struct {
	opts        Options // of the first user; the callbacks are not used
	adapter     adapters.Adapter
	substituted bool
	key         string // in the registry; "" when not shared
	maxMessages int
	maxBytes    int64
	identity    uint64 // of this run, for the session header; 0 means none
	base        uint64 // the sequence number before the first of this run
	sp          *spooler
	info        adapters.Info // set before any use
	rx          receiver

	mu       sync.Mutex
	users    []*Connection
	watchers []*Connection // users with OnResults; replaced, never changed
	q        queue
	seq      uint64 // of the last message accepted
	stats    counters
	rtt      rtt
	state    State
	reason   string
	attempt  int
	next     time.Time
	was      bool // has been connected
	session  int  // counts the adapter's Conns
	closed   bool
	idle     bool          // the dispatcher waits for wake
	full     bool          // the dispatcher waits for room, or is about to
	told     bool          // the first state was told
	waiters  int           // goroutines that wait on changed
	changed  chan struct{} // closed and replaced when there are waiters and something has changed
	limit    *time.Timer   // of the patience with a server that is away

	wake    chan struct{} // one token: look at the queue
	room    chan struct{} // one token: the adapter may have room again
	stop    chan struct{} // closed when the last user closes
	givenUp chan struct{} // closed when the state becomes failed
	wg      sync.WaitGroup
}

// complete checks the options and fills in the defaults.
func (o *Options) complete() error {
	if o.MaxMessages < 0 || o.MaxBytes < 0 {
		return fmt.Errorf("the bounds of the queue (%d messages, %d bytes) are negative; set positive ones, or 0 for the defaults",
			o.MaxMessages, o.MaxBytes)
	}
	if o.MaxMessages == 0 {
		o.MaxMessages = DefaultMaxMessages
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	return o.Reconnect.complete()
}

func newLink(c *Connection, a adapters.Adapter, substituted bool, key string) (*link, error) {
	l := &link{opts: c.opts, adapter: a, substituted: substituted, key: key, maxMessages: c.opts.MaxMessages,
		maxBytes: c.opts.MaxBytes, users: []*Connection{c}, changed: make(chan struct{}), wake: make(chan struct{}, 1),
		room: make(chan struct{}, 1), stop: make(chan struct{}), givenUp: make(chan struct{})}
	c.l, l.rx.l = l, l
	l.watchLocked(c) // nobody else knows it yet
	if !c.opts.NoHeaders {
		l.identity = max(rand.Uint64(), 1)
	}
	conn, err := l.open()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.info = conn.Info()
	l.mu.Unlock()
	if c.opts.Spool.Dir != "" {
		sp, err := openSpooler(l)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		l.mu.Lock() // the adapter may tell its state already
		l.sp = sp
		l.mu.Unlock()
		sp.start()
	}
	l.rx.begin(conn)
	safe.Go(&l.wg, "dispatch of "+a.Name(), l.panicked, func() { l.dispatch(conn) })
	return l, nil
}

// open starts a session of the adapter.
func (l *link) open() (adapters.Conn, error) {
	l.mu.Lock()
	l.session++
	s := &sink{l: l, session: l.session}
	l.mu.Unlock()
	return l.adapter.Open(adapters.Config{ConnStr: l.opts.ConnStr, ConfigPath: l.opts.ConfigPath,
		Strict: l.opts.StrictConfig, MaxMessages: l.maxMessages, ReceiveOnly: l.opts.ReceiveOnly && l.key == "", RetryInterval: l.opts.Reconnect.asked,
		MaxRetryInterval: l.opts.Reconnect.MaxInterval}, s)
}

// panicked is told of a panic in one of our goroutines: the connection is of no use any more.
func (l *link) panicked(e *safe.PanicError) {
	l.mu.Lock()
	l.closed = true
	l.failLocked("internal error: " + e.Error())
	l.logLocked(adapters.LogEntry{Level: adapters.LogError, Facility: "broker", Text: e.Error() + "\n" + string(e.Stack)})
	l.mu.Unlock()
}

// attach adds a user to a link that others use, and tells it the state.
func (l *link) attach(c *Connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.l = l
	l.users = append(l.users, c)
	l.watchLocked(c)
	if l.told {
		c.notify.state(l.changeLocked(StateConnecting))
	}
}

// detach takes a user off.
func (l *link) detach(c *Connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users = slices.DeleteFunc(l.users, func(x *Connection) bool { return x == c })
	l.unwatchLocked(c)
}

// The following tell every user.

func (l *link) logLocked(e adapters.LogEntry) {
	for _, c := range l.users {
		c.notify.log(e)
	}
}

func (l *link) failedLocked(err error) {
	for _, c := range l.users {
		c.notify.failed(err)
	}
}

func (l *link) droppedLocked(why string, err error, n uint64) {
	if n == 0 {
		return
	}
	l.stats.drop(why, n)
	for _, c := range l.users {
		c.notify.dropped(err, n)
	}
}

// signalLocked wakes whoever waits for a change of the queue or of the state.
func (l *link) signalLocked() {
	if l.waiters > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// token puts the one token into ch.
func token(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
