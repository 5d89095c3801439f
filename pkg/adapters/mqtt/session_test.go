// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// TestKilledServer: the server dies again and again while messages stream; each arrives, in order.
func TestKilledServer(t *testing.T) {
	for _, qos := range []int{1, 2} {
		for _, clean := range []int{0, 1} {
			t.Run(fmt.Sprintf("qos%d clean%d", qos, clean), func(t *testing.T) {
				s := newServer(t, "", "--durable").observe(t, "", "")
				r := adaptertest.NewRecorder()
				c := openConn(t, s.ConnStr(), fmt.Sprintf("qos=%d\nclean-start=%d\nclient-id=stream\n", qos, clean), r)
				const rounds, each = 4, 400
				for round := range uint64(rounds) {
					adaptertest.Send(t, c, batchOf(round*each+1, "stream", each, 200))
					adaptertest.Wait(t, "some acknowledgements", func() bool { n, _ := r.Results(); return n > int(round)*each })
					s.Kill(t)
					s.Start(t)
				}
				adaptertest.Wait(t, "all acknowledgements", func() bool { n, _ := r.Results(); return n == rounds*each })
				if _, failed := r.Results(); failed > 0 {
					t.Errorf("%d failed", failed)
				}
				// Killed, the server may forget what it has not passed on to the observer, although it has
				// acknowledged it: what counts here is that nothing overtakes.
				last, seen := "", map[string]bool{}
				for _, m := range s.Consume(t, "stream", rounds*each) {
					p := string(m.Payload[:6])
					if p < last && !seen[p] {
						t.Fatalf("%s came after %s", p, last)
					}
					seen[p] = true
					last = max(last, p)
				}
				if last != fmt.Sprintf("%06d", rounds*each) {
					t.Errorf("the last one is %s", last)
				}
			})
		}
	}
}

// TestPersistentSession: what comes while we are away waits for us, whether server or client restarts.
func TestPersistentSession(t *testing.T) {
	for _, version := range []string{"5", "3.1.1"} {
		for _, qos := range []string{"1", "2"} {
			t.Run(version+" qos"+qos, func(t *testing.T) {
				s := newServer(t, "", "--durable")
				conf := "client-id=cam7\nclean-start=0\nprotocol-version=" + version + "\nsubscribe-qos=" + qos + "\n"
				cfg := adapters.SubscribeConfig{Topics: []string{"commands/#"}, Window: 10}
				open := func() (adapters.Consumer, *adaptertest.Collector) {
					c, col := openConn(t, s.ConnStr(), conf, adaptertest.NewRecorder()), adaptertest.NewCollector()
					if err := c.Subscribe(cfg, col); err != nil {
						t.Fatal(err)
					}
					adaptertest.Wait(t, "the subscription", func() bool { return col.Agreed("commands/#") > 0 })
					return c, col
				}
				r := adaptertest.NewRecorder()
				p := openConn(t, s.ConnStr(), "qos="+qos+"\n", r)
				sent := 0
				publish := func(n int) {
					adaptertest.Send(t, p, batchOf(uint64(sent+1), "commands/x", n, 6))
					sent += n
					adaptertest.Wait(t, "acknowledgements", func() bool { n, _ := r.Results(); return n == sent })
				}
				c, col := open()
				publish(3)
				got := col.Wait(t, 3)
				c.Ack(got[:2]) // the third comes again
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				publish(4)
				s.Stop(t)
				s.Start(t)
				c, col = open()
				got = col.Wait(t, 5)
				for i, m := range got {
					if string(m.Payload) != fmt.Sprintf("%06d", i+3) {
						t.Errorf("message %d is %q", i, m.Payload)
					}
				}
				if !got[0].Redelivered {
					t.Error("the first one came before, and does not say so")
				}
				// While the server is away messages are taken; then it must not send them again.
				s.saved(t)
				s.Kill(t)
				c.Ack(got)
				s.Start(t)
				publish(3)
				adaptertest.Wait(t, "three more", func() bool { return col.Different() == 8 })
				c.Ack(col.Messages()[5:])
				_ = c.Close()
				c, col = open()
				publish(1)
				if got := col.Wait(t, 1); string(got[0].Payload) != fmt.Sprintf("%06d", sent) {
					t.Errorf("%q came again", got[0].Payload)
				}
				_ = c.Close()
			})
		}
	}
}

// TestOldSession: a new process begins with packet identifiers that the server may still hold of the last
// one, for messages of QoS 2. It must not take the new messages for those.
func TestOldSession(t *testing.T) {
	s := newServer(t, "").observe(t, "", "")
	conf := "client-id=two\nclean-start=0\nqos=2\n"
	for round := range 5 {
		r := adaptertest.NewRecorder()
		c := openConn(t, s.ConnStr(), conf, r)
		adaptertest.Send(t, c, batchOf(uint64(round*50+1), "old", 50, 10))
		if round < 4 { // in the middle of the exchange
			adaptertest.Wait(t, "some answers", func() bool { n, _ := r.Results(); return n > 0 })
			_ = c.Close()
			continue
		}
		adaptertest.Wait(t, "all answers", func() bool { n, _ := r.Results(); return n == 50 })
	}
	var last []string
	adaptertest.Wait(t, "the messages of the last process", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		last = last[:0]
		for _, m := range s.got["old"] {
			if p := string(m.Payload[:6]); p > "000200" {
				last = append(last, p)
			}
		}
		return len(last) >= 50
	})
	if len(last) != 50 || !slices.IsSorted(last) {
		t.Errorf("%d of 50 messages of the last process arrived: %q", len(last), last)
	}
}

// TestTakeover: two clients with one name drive each other out, and are told.
func TestTakeover(t *testing.T) {
	s := newServer(t, "")
	a, b := adaptertest.NewRecorder(), adaptertest.NewRecorder()
	openConn(t, s.ConnStr(), "client-id=twin\n", a)
	adaptertest.Wait(t, "the connection", func() bool { return len(a.States()) > 1 })
	openConn(t, s.ConnStr(), "client-id=twin\n", b)
	// Mosquitto 2.0 closes the connection without MQTT 5's reason.
	wantReason(t, a, `another client with our client-id "twin"`)
	wantReason(t, b, `another client with our client-id "twin"`)
}

func mosquittoSub(t *testing.T, s *testServer, args ...string) *exec.Cmd {
	t.Helper()
	_, port := hostPort(s.Addr)
	cmd := exec.Command("mosquitto_sub", append([]string{"-p", port, "-W", "10"}, args...)...)
	if _, err := exec.LookPath("mosquitto_sub"); err != nil {
		t.Skip("mosquitto_sub is missing (Debian: mosquitto-clients): NOTHING of this is tested")
	}
	return cmd
}

// TestRetain: those who come later get the last message; a second connection does not bring it again.
func TestRetain(t *testing.T) {
	s := newServer(t, "")
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "retain=1\n", r)
	delivers(t, c, r, "state")
	out, err := mosquittoSub(t, s, "-t", "state", "-C", "1").Output()
	if err != nil || !strings.HasPrefix(string(out), "000010") {
		t.Errorf("%q, %v", out, err)
	}
	rec := adaptertest.NewRecorder()
	c, col := openConn(t, s.ConnStr(), "", rec), adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"state"}}, col); err != nil {
		t.Fatal(err)
	}
	c.Ack(col.Wait(t, 1))
	s.Stop(t)
	s.Start(t)
	adaptertest.Wait(t, "the subscription", func() bool { return col.Agreed("state") >= 2 })
	time.Sleep(200 * time.Millisecond)
	// Mosquitto 2.0 forgets sessions that began clean when it restarts: then it must be told.
	for _, m := range col.Messages()[1:] {
		if !m.Redelivered {
			t.Error("the retained message came again as if it were new")
		}
	}
}

// TestWill: the server tells of a client that vanishes, not of one that says goodbye.
func TestWill(t *testing.T) {
	s := newServer(t, "").observe(t, "", "")
	r := adaptertest.NewRecorder()
	conf := "will-topic=gone\nwill-payload=cam7 is gone\nwill-qos=2\nwill-retain=1\nclient-id=willing\n"
	c := openConn(t, s.ConnStr(), conf, r)
	delivers(t, c, r, "x")
	_ = c.Close()
	if got := s.Consume(t, "x", 10); len(got) != 10 {
		t.Errorf("%d of 10 arrived", len(got))
	}
	s.mu.Lock()
	if n := len(s.got["gone"]); n != 0 {
		t.Errorf("%d wills after a goodbye", n)
	}
	s.mu.Unlock()
	r = adaptertest.NewRecorder()
	openConn(t, s.ConnStr(), conf, r)
	adaptertest.Wait(t, "the connection", func() bool { return len(r.States()) > 1 })
	openConn(t, s.ConnStr(), "client-id=willing\n", adaptertest.NewRecorder()) // throws the other one out
	if got := s.Consume(t, "gone", 1); len(got) == 0 || string(got[0].Payload) != "cam7 is gone" {
		t.Errorf("%d wills", len(got))
	}
}

// TestProperties: what MQTT 5 says beside the payload arrives at a client of another make.
func TestProperties(t *testing.T) {
	s := newServer(t, "")
	sub := mosquittoSub(t, s, "-V", "5", "-t", "p/#", "-q", "1", "-C", "1", "-F", "%P|%C|%R|%E|%p")
	var out strings.Builder
	sub.Stdout = &out
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "content-type=application/json\nresponse-topic=answers/1\nmessage-expiry=600\nuser-properties=site=east; line = 4\n", r)
	done := make(chan error, 1)
	go func() { done <- sub.Wait() }()
	var h adapters.Headers
	h = h.AppendString("colour", "größer").Append("raw", []byte{0xff, 0})
	var b adapters.Batch
	b.AddText("p/x", adapters.Message{Seq: 1, Payload: []byte("{}"), Headers: h, Session: 10, Number: 7})
	for {
		adaptertest.Send(t, c, &b) // until the subscriber is there
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			want := "site:east line:4 colour:größer raw;base64:/wA= ew-session:000000000000000a ew-sequence:7|application/json|answers/1|"
			if !strings.HasPrefix(out.String(), want) {
				t.Errorf("%q, want %q", out.String(), want)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestReply: an answer goes to the response topic with the correlation data of the question.
func TestReply(t *testing.T) {
	if _, err := exec.LookPath("mosquitto_rr"); err != nil {
		t.Skip("mosquitto_rr is missing (Debian: mosquitto-clients): NOTHING of this is tested")
	}
	s := newServer(t, "")
	c, col := openConn(t, s.ConnStr(), "", adaptertest.NewRecorder()), adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"ask"}}, col); err != nil {
		t.Fatal(err)
	}
	adaptertest.Wait(t, "the subscription", func() bool { return col.Agreed("ask") > 0 })
	_, port := hostPort(s.Addr)
	cmd := exec.Command("mosquitto_rr", "-p", port, "-V", "5", "-t", "ask", "-e", "answer", "-m", "how many?", "-W", "10", "-D", "publish", "correlation-data", "c1",
		"-D", "publish", "user-property", "lang", "en", "-F", "%p %D %P")
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := col.Wait(t, 1)
	if v, ok := got[0].Headers.Get("lang"); string(v) != "en" || !ok {
		t.Errorf("headers %q", got[0].Headers)
	}
	if got[0].Reply == nil {
		t.Fatal("no Reply")
	}
	if err := got[0].Reply(207, []byte("four")); err != nil {
		t.Fatal(err)
	}
	c.Ack(got)
	if err := cmd.Wait(); err != nil || strings.TrimSpace(out.String()) != "four c1 status:207" {
		t.Errorf("%q, %v", out.String(), err)
	}
	_ = c.Close()
	if err := got[0].Reply(0, nil); err == nil {
		t.Error("a reply after Close was accepted")
	}
}

// TestGroup: the members of a group share the messages.
func TestGroup(t *testing.T) {
	s := newServer(t, "")
	cfg := adapters.SubscribeConfig{Topics: []string{"jobs/+"}, Group: "workers"}
	var cols []*adaptertest.Collector
	for range 2 {
		c, col := openConn(t, s.ConnStr(), "", adaptertest.NewRecorder()), adaptertest.NewCollector()
		if err := c.Subscribe(cfg, col); err != nil {
			t.Fatal(err)
		}
		adaptertest.Wait(t, "the subscription", func() bool { return col.Agreed("jobs/+") > 0 })
		cols = append(cols, col)
	}
	r := adaptertest.NewRecorder()
	delivers(t, openConn(t, s.ConnStr(), "", r), r, "jobs/a")
	adaptertest.Wait(t, "all messages", func() bool { return cols[0].Count()+cols[1].Count() == 10 })
	if cols[0].Count() == 0 || cols[1].Count() == 0 {
		t.Errorf("%d and %d messages: they do not share", cols[0].Count(), cols[1].Count())
	}
}

// TestOldQoS2: MQTT 3.1.1 has no receive maximum; a Mosquitto with its defaults hangs up when more than 20
// messages of QoS 2 are under way.
func TestOldQoS2(t *testing.T) {
	s := newServer(t, "").observe(t, "", "")
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "protocol-version=3.1.1\nqos=2\n", r)
	adaptertest.Send(t, c, batchOf(1, "old2", 500, 100))
	adaptertest.Wait(t, "all answers", func() bool { n, failed := r.Results(); return n == 500 && failed == 0 })
	if got := s.Consume(t, "old2", 500); len(got) != 500 || lastReason(r) != "" {
		t.Errorf("%d of 500 arrived; %q", len(got), lastReason(r))
	}
}

// TestQoS: each quality of service, 1 without being asked for, and what waits for a server arrives with all of them.
func TestQoS(t *testing.T) {
	s := newServer(t, "").observe(t, "", "")
	for _, version := range []string{"5", "3.1.1"} {
		for conf, want := range map[string]byte{"": 1, "qos=0\n": 0, "qos=1\n": 1, "qos=2\n": 2} {
			t.Run(version+" "+conf, func(t *testing.T) {
				topic := fmt.Sprintf("qos/%s/%d-%d", version, want, len(conf))
				r := adaptertest.NewRecorder()
				c := openConn(t, s.ConnStr(), conf+"protocol-version="+version+"\n", r)
				adaptertest.Send(t, c, batchOf(1, topic, 200, 100))
				adaptertest.Wait(t, "all results", func() bool { n, failed := r.Results(); return n == 200 && failed == 0 })
				got := s.Consume(t, topic, 200)
				if len(got) != 200 {
					t.Fatalf("%d messages arrived", len(got))
				}
				for i, m := range got {
					if want := fmt.Sprintf("%06d", i+1); string(m.Payload[:6]) != want {
						t.Fatalf("%s came in the place of %s", m.Payload[:6], want)
					}
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.qos[topic] != want {
					t.Errorf("published with QoS %d, want %d", s.qos[topic], want)
				}
			})
		}
	}
	t.Run("away", func(t *testing.T) {
		s.Stop(t)
		r := adaptertest.NewRecorder()
		c := openConn(t, s.ConnStr(), "qos=0\n", r)
		adaptertest.Send(t, c, batchOf(1, "qos/away", 100, 100))
		wantReason(t, r, "connection refused")
		if n, _ := r.Results(); n != 0 {
			t.Errorf("%d results without a server", n)
		}
		s.Start(t)
		adaptertest.Wait(t, "all results", func() bool { n, failed := r.Results(); return n == 100 && failed == 0 })
	})
}

// TestPersistentStop: a connection that ends in an orderly way, as the element's does, leaves what it was subscribed to
// with a server that keeps the session: what is sent meanwhile comes.
func TestPersistentStop(t *testing.T) {
	s := newServer(t, "")
	conf := adaptertest.WriteFile(t, "mqtt.cfg", "[message-broker]\nclient-id=cam8\nclean-start=0\n")
	r := adaptertest.NewRecorder()
	p := openConn(t, s.ConnStr(), "", r)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	for round := range uint64(3) {
		c, err := broker.Connect(broker.Options{ProtoLib: "mqtt", ConnStr: s.ConnStr(), ConfigPath: conf, ReceiveOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		agreed := make(chan error, 10)
		sub, err := c.Subscribe(broker.SubscribeOptions{Topics: []string{"stopped/x"}, OnSubscribed: func(_ string, err error) { agreed <- err }})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-agreed; err != nil {
			t.Fatal(err)
		}
		if round > 0 {
			m, err := sub.Next(ctx)
			if err != nil || string(m.Payload) != fmt.Sprintf("%06d", round) {
				t.Fatalf("round %d: %q, %v", round, m.Payload, err)
			}
			sub.Ack(&m)
		}
		c.Close(ctx)
		adaptertest.Send(t, p, batchOf(round+1, "stopped/x", 1, 6))
		r.WaitResults(t, int(round)+1)
	}
}

// TestWrapped: DeepStream's message of payload, key and time, asked for by the configuration or the environment.
func TestWrapped(t *testing.T) {
	s := newServer(t, "").observe(t, "", "")
	parse := func(b []byte) map[protowire.Number]string {
		fields := map[protowire.Number]string{}
		for len(b) > 0 {
			number, kind, n := protowire.ConsumeTag(b)
			if n < 0 || kind != protowire.BytesType {
				t.Fatalf("%x", b)
			}
			value, m := protowire.ConsumeBytes(b[n:])
			if m < 0 {
				t.Fatalf("%x", b)
			}
			fields[number] = string(value)
			b = b[n+m:]
		}
		return fields
	}
	publish := func(t *testing.T, conf, topic string) []adaptertest.Received {
		r := adaptertest.NewRecorder()
		c := openConn(t, s.ConnStr(), conf, r)
		var b adapters.Batch
		b.AddText(topic, adapters.Message{Seq: 1, TimestampMS: 1_600_000_000_999, Key: []byte("cam\xff7"), Payload: []byte("\x00{}")})
		b.AddText(topic, adapters.Message{Seq: 2, Payload: make([]byte, 200_000)})
		adaptertest.Send(t, c, &b)
		adaptertest.Wait(t, "results", func() bool { n, failed := r.Results(); return n == 2 && failed == 0 })
		return s.Consume(t, topic, 2)
	}
	wrapped := func(t *testing.T, got []adaptertest.Received, sensor string) {
		t.Helper()
		if f := parse(got[0].Payload); f[1] != "\x00{}" || f[2] != "cam\ufffd7" || f[3] != "2020-09-13T12:26:40Z" || len(f) != 3 {
			t.Errorf("%q", f)
		}
		f := parse(got[1].Payload)
		at, err := time.Parse(time.RFC3339, f[3])
		if len(f[1]) != 200_000 || f[2] != sensor || err != nil || time.Since(at) > time.Hour || !strings.HasSuffix(f[3], "Z") {
			t.Errorf("%d bytes, key %q, %v, %v", len(f[1]), f[2], at, err)
		}
	}
	t.Run("configuration", func(t *testing.T) { wrapped(t, publish(t, "layout=wrapped\n", "wrap/1"), "unknown-sensor") })
	t.Setenv("DEEPSTREAM_ENABLE_SENSOR_ID_EXTRACTION", "1")
	t.Setenv("DEEPSTREAM_SENSOR_ID", "door")
	t.Run("environment", func(t *testing.T) { wrapped(t, publish(t, "", "wrap/2"), "door") })
	t.Run("not wanted", func(t *testing.T) {
		if got := publish(t, "layout=payload\n", "wrap/3"); string(got[0].Payload) != "\x00{}" {
			t.Errorf("%q", got[0].Payload)
		}
	})
}
