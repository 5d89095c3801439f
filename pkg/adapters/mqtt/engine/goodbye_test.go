// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"context"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
)

// TestSilentGoodbye: a server that takes nothing any more, with all buffers full, does not hold Close up; nor does TLS,
// whose last word has no room either.
func TestSilentGoodbye(t *testing.T) {
	id, err := identity.Generate()
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	reached := make(chan struct{}, 2)
	scene := func(p *peer) {
		p.connect(accept5...)
		_, _ = io.ReadFull(p.nc, make([]byte, 1<<20))
		reached <- struct{}{}
		<-over
	}
	for _, secure := range []bool{false, true} {
		s := play(t, func(p *peer) {
			if secure {
				p.nc = tls.Server(p.nc, &tls.Config{Certificates: []tls.Certificate{id.TLS()}})
			}
			scene(p)
		})
		d := &Dialer{Address: s.l.Addr().String()}
		if secure {
			d.TLS = func(context.Context) (*tls.Config, error) { return &tls.Config{InsecureSkipVerify: true}, nil }
		}
		c := Open(Options{Facility: "test", Info: adapters.Info{Host: d.Address}, Dial: d.Dial, ClientID: "me", QoS: 1, MaxMessages: 100,
			MaxInflight: 100, RetryInterval: 5 * time.Millisecond, MaxRetry: time.Second}, adaptertest.NewRecorder())
		b := &adapters.Batch{}
		for i := range uint64(30) {
			b.Append(i+1, 0, "t", nil, make([]byte, 1<<20))
		}
		if n, err := c.Publish(b, 0); n < 15 || err != nil {
			t.Fatal(n, err)
		}
		<-reached
		adaptertest.Within(t, "Close", time.Second, func() { _ = c.Close() })
	}
	close(over)
}
