// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func receiveOnly(t *testing.T, s *server, config string, r *adaptertest.Recorder) *conn {
	t.Helper()
	c, err := adapter{}.Open(adapters.Config{ConnStr: s.ConnStr(), ConfigPath: configFile(t, config), Strict: true, ReceiveOnly: true}, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*conn)
}

// TestNothingToRead: a subscription of which the server allows nothing still sees the server go, and is made when
// it comes back and allows it.
func TestNothingToRead(t *testing.T) {
	s := newServer(t)
	do(t, s.c, "SET", "key", "no stream")
	r := adaptertest.NewRecorder()
	c := receiveOnly(t, s, "", r)
	got := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"key"}, FromStart: true}, got); err != nil {
		t.Fatal(err)
	}
	adaptertest.Wait(t, "the refusal", func() bool { return errors.Is(got.Refused("key"), adapters.ErrRejected) })
	s.Stop(t)
	down(t, r, "refused")
	s.Start(t)
	do(t, s.c, "DEL", "key")
	do(t, s.c, "XADD", "key", "*", "metadata", "hello")
	if m := got.Wait(t, 1); string(m[0].Payload) != "hello" {
		t.Errorf("%s came", m[0].Payload)
	}
}

// TestAcksRefused: a user that may read and not acknowledge is told of once, and the messages come again.
func TestAcksRefused(t *testing.T) {
	s := newServer(t, "--config-line", "user reader on >secret ~* +@all -xack")
	for i := range 5 {
		do(t, s.c, "XADD", "stream", "*", "metadata", i)
	}
	for range 2 {
		r := adaptertest.NewRecorder()
		c := receiveOnly(t, s, "username = reader\npassword = secret", r)
		got := adaptertest.NewCollector()
		if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"stream"}, FromStart: true}, got); err != nil {
			t.Fatal(err)
		}
		for _, m := range got.Wait(t, 5) {
			c.Ack([]adapters.Incoming{m})
		}
		told := func() (n int) {
			for _, e := range r.Logs() {
				if strings.Contains(e.Text, "acknowledgements to "+s.Addr+" are refused") {
					n++
				}
			}
			return n
		}
		adaptertest.Wait(t, "the word on it", func() bool { return told() > 0 })
		_ = c.Close()
		if n := told(); n != 1 {
			t.Errorf("told %d times", n)
		}
		if strings.Contains(fmt.Sprint(r.Logs()), "secret") {
			t.Error("the password is in the log")
		}
	}
}

// TestLargeBacklog: messages that are large wait with the server, not in memory, and none is lost for it.
func TestLargeBacklog(t *testing.T) {
	defer func(n int) { maxOutBytes = n }(maxOutBytes)
	maxOutBytes = 1 << 20
	const count, size = 150, 100_000
	s := newServer(t)
	payload := strings.Repeat("x", size)
	for i := range count {
		do(t, s.c, "XADD", "stream", "*", "metadata", fmt.Sprintf("%06d%s", i, payload))
	}
	c := receiveOnly(t, s, "", adaptertest.NewRecorder())
	got := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"stream"}, FromStart: true}, got); err != nil {
		t.Fatal(err)
	}
	for done := 0; done < count; {
		all := got.Wait(t, done+1)
		if n := (len(all) - done) * size; n > maxOutBytes+replyBytes+firstRead*size {
			t.Fatalf("%d bytes are without an acknowledgement", n)
		}
		for ; done < len(all); done++ {
			if s := string(all[done].Payload[:6]); s != fmt.Sprintf("%06d", done) {
				t.Fatalf("%s came, %d is next", s, done)
			}
			c.Ack(all[done : done+1])
		}
	}
}

// TestReadAtOnce: how much is asked for follows the size of what comes, and an answer that did not come.
func TestReadAtOnce(t *testing.T) {
	b := &bringer{count: firstRead}
	entries := func(n, size int) []stream {
		item := any([]any{"1-1", []any{"metadata", strings.Repeat("x", size)}})
		s := stream{topic: "t"}
		for range n {
			s.entries = append(s.entries, item)
		}
		return []stream{s}
	}
	for range 10 {
		b.measured(t.Context(), entries(b.count, 100), nil)
	}
	if b.count != readAtOnce {
		t.Errorf("%d small ones at once", b.count)
	}
	b.measured(t.Context(), entries(3, 3<<20), nil)
	if b.count != 1 {
		t.Errorf("%d of 3 MB at once", b.count)
	}
	b.count = 100
	b.measured(t.Context(), nil, errors.New("time is over"))
	b.measured(t.Context(), nil, &serverError{"LOADING"})
	b.measured(t.Context(), nil, errAgain)
	if b.count != 25 {
		t.Errorf("%d after an answer that was too large for the line", b.count)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if b.measured(over, nil, errUsed); b.count != 25 {
		t.Error("the end of a session was taken for one")
	}
}

// TestAckUnderWay: an entry whose acknowledgement is on its way to the server is not handed out again, whatever
// the server still lists as pending.
func TestAckUnderWay(t *testing.T) {
	got := adaptertest.NewCollector()
	c := &conn{o: &options{payloadKey: "metadata"}}
	s := &subscription{c: c, recv: got}
	c.receive.sub = s
	b := &bringer{s: s, out: map[string]map[string]handed{"t": {}}, acks: map[string][]string{},
		room: make(chan struct{}, 1), ackable: make(chan struct{}, 1)}
	item := []any{[]any{"1-1", []any{"metadata", "x"}}}
	b.hand("t", item, false)
	c.Ack(got.Messages())
	c.Ack(got.Messages())
	s.mu.Lock()
	b.acks = map[string][]string{} // confirm has taken them
	s.mu.Unlock()
	b.hand("t", item, true)
	if n := got.Count(); n != 1 || b.outCount != 0 || b.outBytes != 0 {
		t.Errorf("it came %d times; %d messages, %d bytes are out", n, b.outCount, b.outBytes)
	}
}
