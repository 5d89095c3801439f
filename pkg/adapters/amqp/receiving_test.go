// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestForgottenMessage: one that is never acknowledged does not make us remember all that come after it.
func TestForgottenMessage(t *testing.T) {
	s := server(t)
	t.Cleanup(func() { s.ctl(t, "delete_queue", "forgotten") })
	c := receiver(t, s)
	got := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"forgotten.x"}, Group: "forgotten", Window: 10})
	p, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	adaptertest.Send(t, p, adaptertest.BatchOf(1, "forgotten.x", 1000))
	r.WaitResults(t, 1000)
	session := got.wait(t, 1)[0].Token.(ackToken).session
	for done := 1; done < 1000; {
		all := got.wait(t, done+1)
		c.Ack(all[done:])
		done = len(all)
		session.mu.Lock()
		if n := len(session.open); n > 10 {
			t.Errorf("%d tags are remembered with a window of 10", n)
		}
		session.mu.Unlock()
	}
	c.Ack(got.all()[:1])
	session.mu.Lock()
	if n := len(session.open); n != 0 {
		t.Errorf("%d tags are remembered at the end", n)
	}
	session.mu.Unlock()
	must(t, c.Close())
	k, ch, err := s.dial()
	must(t, err)
	defer k.Close()
	adaptertest.Wait(t, "an empty queue", func() bool {
		q, err := ch.QueueDeclarePassive("forgotten", true, false, false, false, nil)
		must(t, err)
		return q.Messages == 0
	})
}

// TestQuorumQueue: a group whose queue is kept by several servers, where there are several.
func TestQuorumQueue(t *testing.T) {
	s := server(t)
	t.Cleanup(func() { s.ctl(t, "delete_queue", "quorate") })
	c, _ := open(t, s.ConnStr(), "exchange="+testExchange+"\nqueue-type=quorum\n")
	got := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"quorate.x"}, Group: "quorate"})
	p, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	adaptertest.Send(t, p, adaptertest.BatchOf(1, "quorate.x", 100))
	r.WaitResults(t, 100)
	c.Ack(got.wait(t, 100))
	if list := s.ctl(t, "list_queues", "name", "type"); !strings.Contains(list, "quorate\tquorum") {
		t.Error(list)
	}
}

// TestStrayBinding: a queue that an earlier run has bound to another topic brings that too, and it is said.
func TestStrayBinding(t *testing.T) {
	s := server(t)
	t.Cleanup(func() { s.ctl(t, "delete_queue", "stray") })
	c := receiver(t, s)
	subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"stray.a", "stray.b"}, Group: "stray"})
	must(t, c.Close())
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	got := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"stray.b"}, Group: "stray"})
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "stray.b", 2))
	got.wait(t, 2)
	said := func() (n int) {
		for _, e := range r.Logs() {
			if strings.Contains(e.Text, "the queue stray brings \"stray.a\"") && strings.Contains(e.Text, "; see rabbitmqctl") {
				n++
			}
		}
		return n
	}
	if said() != 0 {
		t.Error("said without a cause")
	}
	adaptertest.Send(t, c, adaptertest.BatchOf(3, "stray.a", 3))
	got.wait(t, 5)
	if said() != 1 {
		t.Errorf("said %d times: %v", said(), r.Logs())
	}
}

// reader makes a user who may read what fits the pattern.
func reader(t *testing.T, s *testServer, name, pattern string) (allow func(pattern string), connStr string) {
	t.Helper()
	s.ctl(t, "add_user", name, "reader-password")
	t.Cleanup(func() { s.ctl(t, "delete_user", name) })
	s.ctl(t, "set_permissions", name, ".*", ".*", ".*")
	allow = func(pattern string) { s.ctl(t, "set_topic_permissions", name, testExchange, ".*", pattern) }
	allow(pattern)
	return allow, s.ConnStr() + ";" + name + ";reader-password"
}

// TestRefusedIsTriedAgain: topics that an admin allows later come without a new connection of the others.
func TestRefusedIsTriedAgain(t *testing.T) {
	s := server(t)
	allow, connStr := reader(t, s, "later", "^again.good$")
	p, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	var takers []*taker
	for _, topics := range [][]string{{"again.bad"}, {"again.good", "again.bad"}} {
		c, _ := open(t, connStr, "exchange="+testExchange+"\n")
		c.subscriber.retry = 50 * time.Millisecond
		got := subscribe(t, c, adapters.SubscribeConfig{Topics: topics})
		if err, _ := got.word("again.bad"); !errors.Is(err, adapters.ErrUnauthorized) {
			t.Error(err)
		}
		takers = append(takers, got)
	}
	adaptertest.Send(t, p, adaptertest.BatchOf(1, "again.good", 1))
	takers[1].wait(t, 1)
	allow("^again")
	for _, got := range takers {
		adaptertest.Wait(t, "the word of the server", func() bool { err, _ := got.word("again.bad"); return err == nil })
	}
	adaptertest.Send(t, p, adaptertest.BatchOf(2, "again.bad", 2))
	r.WaitResults(t, 3)
	takers[0].wait(t, 2)
	for _, m := range takers[1].wait(t, 3) {
		if m.Redelivered {
			t.Errorf("%s was sent again", m.Payload)
		}
	}
}

// TestUnbindRefused: receiving goes on, and it is said what is still bound.
func TestUnbindRefused(t *testing.T) {
	s := server(t)
	t.Cleanup(func() { s.ctl(t, "delete_queue", "unbind") })
	allow, connStr := reader(t, s, "unbinder", "^unbind")
	c, r := open(t, connStr, "exchange="+testExchange+"\n")
	subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"unbind.a", "unbind.b"}, Group: "unbind"})
	allow("^unbind.b$")
	got := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"unbind.b"}, Group: "unbind"})
	if err, _ := got.word("unbind.b"); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(r.Logs()); !strings.Contains(text, "the queue unbind stays bound to unbind.a: ") || !strings.Contains(text, "grant this user") {
		t.Error(text)
	}
	allow("^unbind")
	subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"unbind.b"}, Group: "unbind"})
	p, pr := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	adaptertest.Send(t, p, adaptertest.BatchOf(1, "unbind.a", 1))
	pr.WaitResults(t, 1)
	if err, _ := pr.Result(1); !errors.Is(err, adapters.ErrUnknownTopic) {
		t.Errorf("unbind.a is still bound: %v", err)
	}
	for _, e := range r.States() {
		if e.State == adapters.Disconnected {
			t.Errorf("%+v", e)
		}
	}
}

// TestHeaderOrder: headers come in the order of their names, each time.
func TestHeaderOrder(t *testing.T) {
	s := server(t)
	c := receiver(t, s)
	got := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"headers"}})
	k, ch, err := s.dial()
	must(t, err)
	defer k.Close()
	table := rabbit.Table{}
	want := ""
	for i := range 12 {
		name := fmt.Sprintf("h%02d", i)
		table[name] = "x"
		want += name + " "
	}
	must(t, ch.Publish(testExchange, "headers", true, false, rabbit.Publishing{Headers: table}))
	names := ""
	got.wait(t, 1)[0].Headers.Each(func(name, _ []byte) bool { names += string(name) + " "; return true })
	if names != want {
		t.Error(names)
	}
}
