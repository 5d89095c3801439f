// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

// signature names what may be shared: protocol, servers and configuration. It is "" unless the
// configuration says share-connection=1. topic is the one of the connection string.
func signature(opts Options, a adapters.Adapter) (key, topic string, err error) {
	server := strings.TrimSpace(opts.ConnStr)
	if s, ok := a.(adapters.Splitter); ok && server != "" {
		if server, topic, err = s.SplitConnStr(server); err != nil {
			return "", "", err
		}
	}
	if opts.ConfigPath == "" {
		return "", topic, nil
	}
	kf, err := dsconfig.ParseKeyFile(opts.ConfigPath)
	if err != nil {
		return "", "", err
	}
	g := kf.Group("message-broker")
	if g == nil {
		return "", topic, nil
	}
	e, ok := g.Get("share-connection")
	if !ok {
		return "", topic, nil
	}
	if on, err := e.Bool(); err != nil || !on {
		return "", topic, err
	}
	var lines []string
	for _, e := range g.Entries {
		if e.Key != "share-connection" && e.Key != "topic" {
			lines = append(lines, fmt.Sprintf("%q=%q", e.Key, e.Raw))
		}
	}
	slices.Sort(lines)
	if topic == "" {
		if e, ok := g.Get("topic"); ok {
			if topic, err = e.Text(); err != nil {
				return "", "", err
			}
			topic = strings.Trim(topic, `"`)
		}
	}
	// Not how strictly the configuration is checked: elements and C callers share.
	sum := sha256.Sum256(fmt.Appendf(nil, "%q\n%q\n%s", a.Name(), server, strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:]), topic, nil
}

// registry holds the links that are shared.
var registry = sharedLinks{m: map[string]*sharedLink{}}

type sharedLinks struct {
	mu sync.Mutex
	m  map[string]*sharedLink
}

type sharedLink struct {
	ready chan struct{} // closed when link or err is set
	l     *link
	err   error
	users int
}

// join gives c the link of key, which create makes if there is none. One that takes its time delays only
// those who want the same.
func (r *sharedLinks) join(key string, c *Connection, create func() (*link, error)) error {
	r.mu.Lock()
	s := r.m[key]
	if s == nil {
		s = &sharedLink{ready: make(chan struct{}), users: 1}
		r.m[key] = s
		r.mu.Unlock()
		s.l, s.err = create()
		if s.err != nil {
			r.mu.Lock()
			delete(r.m, key)
			r.mu.Unlock()
		}
		close(s.ready)
		return s.err
	}
	s.users++
	r.mu.Unlock()
	<-s.ready
	err := s.err
	if err == nil && c.opts.Spool.Dir != "" && c.opts.Spool.Dir != s.l.opts.Spool.Dir {
		err = fmt.Errorf("the connection is shared (share-connection=1) and its spool folder is %q, not %q; name the same one",
			s.l.opts.Spool.Dir, c.opts.Spool.Dir)
	}
	if s.err != nil {
		return s.err
	}
	s.l.attach(c)
	if err != nil {
		c.opts.OnClosed = nil
		c.leave(ended) // it may be the last user by now
	}
	return err
}

// ended is a context that has ended.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// leave reports whether the one that leaves was the last user.
func (r *sharedLinks) leave(l *link) bool {
	if l.key == "" {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.m[l.key]
	if s == nil || s.l != l {
		return true
	}
	s.users--
	if s.users > 0 {
		return false
	}
	delete(r.m, l.key)
	return true
}

// Signature names what a connection with these options may share, as 64 hexadecimal digits; "" when its
// configuration does not say share-connection=1. It is the same in every process and at every time.
func Signature(o Options) (string, error) {
	name, _, err := adapters.ResolveProtoLib(o.ProtoLib)
	if err != nil {
		return "", err
	}
	a, _ := adapters.Lookup(name)
	key, _, err := signature(o, a)
	return key, err
}
