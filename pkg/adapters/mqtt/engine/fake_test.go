// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// A script is a server whose every connection is played by a function; it shows what no well-behaved server
// does.
type script struct {
	l  net.Listener
	wg sync.WaitGroup
}

// play serves the connections one after the other: connection i by scenes[i], those after by the last.
func play(t *testing.T, scenes ...func(p *peer)) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{l: l}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		for i := 0; ; i++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Add(1)
			go func() {
				defer s.wg.Done()
				defer nc.Close()
				scenes[min(i, len(scenes)-1)](&peer{t: t, nc: nc})
			}()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return s
}

// A peer is the server's end of a connection.
type peer struct {
	t   *testing.T
	nc  net.Conn
	buf []byte
}

// packet reads one packet; ok is false at the end of the connection.
func (p *peer) packet() (first byte, body []byte, ok bool) {
	for {
		first, body, size, err := frame(p.buf, maxIncoming)
		if err == nil {
			body = append([]byte(nil), body...)
			p.buf = p.buf[size:]
			return first, body, true
		}
		chunk := make([]byte, 4096)
		n, err := p.nc.Read(chunk)
		if p.buf = append(p.buf, chunk[:n]...); err != nil && n == 0 {
			return 0, nil, false
		}
	}
}

func (p *peer) write(b ...byte) { _, _ = p.nc.Write(b) }

// connect takes CONNECT and answers; connack is flags, code and properties.
func (p *peer) connect(connack ...byte) (body []byte) {
	first, body, ok := p.packet()
	if !ok || first>>4 != typeConnect {
		return nil
	}
	p.write(appendPacket(nil, typeConnack<<4, connack)...)
	return body
}

// next reads up to the next packet of a kind.
func (p *peer) next(kind byte) (first byte, body []byte, ok bool) {
	for {
		if first, body, ok = p.packet(); !ok || first>>4 == kind {
			return first, body, ok
		}
	}
}

func (p *peer) drain() { _, _ = io.Copy(io.Discard, p.nc) }

var accept5 = []byte{0, 0, 0}

func (s *script) open(t *testing.T, o Options, r *adaptertest.Recorder) *Conn {
	t.Helper()
	o.Facility, o.Info.Host = "test", s.l.Addr().String()
	o.Dial = (&Dialer{Address: s.l.Addr().String()}).Dial
	if o.RetryInterval == 0 {
		o.RetryInterval = 5 * time.Millisecond
	}
	o.MaxRetry = 4 * o.RetryInterval
	if o.ClientID == "" {
		o.ClientID = "me"
	}
	c := Open(o, r)
	t.Cleanup(func() {
		adaptertest.Within(t, "Close", time.Second, func() { _ = c.Close() })
	})
	return c
}

func batch(first uint64, texts ...string) *adapters.Batch {
	b := &adapters.Batch{}
	for i, s := range texts {
		b.Append(first+uint64(i), 0, "t", nil, []byte(s))
	}
	return b
}

func lostBy(r *adaptertest.Recorder) (all []string) {
	for _, e := range r.States() {
		if e.State == adapters.Disconnected {
			all = append(all, e.Reason)
		}
	}
	return all
}

// waitReason waits for a reason that cond likes.
func waitReason(t *testing.T, r *adaptertest.Recorder, what string, cond func(string) bool) {
	t.Helper()
	adaptertest.Wait(t, what, func() bool {
		all := lostBy(r)
		for _, s := range all {
			if cond(s) {
				return true
			}
		}
		if len(all) > 50 {
			t.Fatalf("other reasons came: %q", all[:3])
		}
		return false
	})
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
