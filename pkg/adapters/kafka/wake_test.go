// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// quiet makes librdkafka say nothing of itself, which would wake whoever waits for something else.
const quiet = "[message-broker]\nproto-cfg = \"statistics.interval.ms=3600000\"\n"

// stepped opens a connection that the test polls, and nobody else.
func stepped(t *testing.T, s *testServer, r *adaptertest.Recorder) *poller {
	t.Helper()
	c, err := newConn(adapters.Config{ConnStr: s.ConnStr(), ConfigPath: writeFile(t, "quiet.cfg", quiet), Strict: true}, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return newPoller(c)
}

func (p *poller) drain() {
	for p.next() {
	}
}

// told reads the eventfd without waiting.
func (p *poller) told(t *testing.T) bool {
	t.Helper()
	raw, err := p.events.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = p.events.SetReadDeadline(time.Time{})
	var n int
	if e := raw.Read(func(fd uintptr) bool {
		var token [8]byte
		n, err = syscall.Read(int(fd), token[:])
		return true
	}); e != nil {
		t.Fatal(e)
	}
	if err != nil && err != syscall.EAGAIN {
		t.Fatal(err)
	}
	return n == 8
}

// TestWakeIsKept: a connection that is woken between the end of a wait and the poll that follows does not wait
// again. Closing would last until the deadline of the wait otherwise.
func TestWakeIsKept(t *testing.T) {
	s := newServer(t)
	r := adaptertest.NewRecorder()
	p := stepped(t, s, r)
	p.drain()
	for p.told(t) { // what librdkafka had to say at its start
		p.drain()
	}
	p.wake()
	if !p.told(t) {
		t.Fatal("a wake is not told")
	}
	p.wake() // now
	p.drain()
	if !p.told(t) {
		t.Error("a wake before the poll is lost")
	}
	p.drain()
	p.wake()
	p.wake()
	if !p.told(t) {
		t.Error("a wake after the poll is lost")
	}
	if p.told(t) {
		t.Error("two wakes are told twice")
	}
}

// TestReportsAreTold: each report of either producer ends a wait that has no deadline.
func TestReportsAreTold(t *testing.T) {
	s := newServer(t, kfake.SeedTopics(1, "told"))
	refuseProduce(s, func(request int) int16 {
		if request == 1 {
			return invalidTimestamp
		}
		return 0
	})
	r := adaptertest.NewRecorder()
	p := stepped(t, s, r)
	step := func(count int) {
		t.Helper()
		for p.drain(); ; p.drain() {
			if n, failed := r.Results(); n >= count {
				if failed != 0 {
					t.Errorf("%d messages failed", failed)
				}
				return
			}
			var token [8]byte
			_ = p.events.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := p.events.Read(token[:]); err != nil {
				n, _ := r.Results()
				t.Fatalf("%d of %d reports, then %v", n, count, err)
			}
		}
	}
	adaptertest.Send(t, p.conn, batchOf(1, "told", 20, 100)) // through the second producer
	step(20)
	for i := range 50 { // now both are there
		adaptertest.Send(t, p.conn, batchOf(uint64(21+i), "told", 1, 100))
		step(21 + i)
	}
}

// openFiles counts the descriptors of the process.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestDescriptors: connections that come and go leave no descriptor, whether the server is there or not; nor do
// those that cannot be opened.
func TestDescriptors(t *testing.T) {
	s := newServer(t, kfake.SeedTopics(1, "files"))
	gone := newServer(t)
	gone.stop()
	cycle := func() {
		for _, connStr := range []string{s.ConnStr(), gone.ConnStr()} {
			r := adaptertest.NewRecorder()
			c, err := adapter{}.Open(adapters.Config{ConnStr: connStr, Strict: true}, r)
			if err != nil {
				t.Fatal(err)
			}
			adaptertest.Send(t, c, batchOf(1, "files", 1, 10))
			if connStr == s.ConnStr() {
				r.WaitResults(t, 1)
			}
			_ = c.Close()
			_ = c.Close()
		}
		bad := writeFile(t, "bad.cfg", "[message-broker]\nproto-cfg = \"transactional.id=x;enable.idempotence=false\"\n")
		if c, err := (adapter{}).Open(adapters.Config{ConnStr: s.ConnStr(), ConfigPath: bad}, adaptertest.NewRecorder()); err == nil {
			_ = c.Close()
			t.Fatal("opened")
		}
	}
	cycle() // what is opened once
	before := openFiles(t)
	for range 6 {
		cycle()
	}
	var after int
	for range 200 { // librdkafka's threads, and the server's end of the connections
		if after = openFiles(t); after <= before {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d descriptors before, %d after", before, after)
}

// TestNoDescriptorIsLeft: a process that has as many files open as it may is told so.
func TestNoDescriptorIsLeft(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	c, err := adapter{}.Open(adapters.Config{ConnStr: s.ConnStr(), Strict: true}, adaptertest.NewRecorder())
	if err != nil { // and Go's poller has what it needs
		t.Fatal(err)
	}
	_ = c.Close()
	low := limit
	low.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	c, err = adapter{}.Open(adapters.Config{ConnStr: s.ConnStr(), Strict: true}, adaptertest.NewRecorder())
	if e := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); e != nil {
		t.Fatal(e)
	}
	if err == nil {
		_ = c.Close()
		t.Fatal("opened")
	}
	if !strings.Contains(err.Error(), "Too many open files") || !strings.Contains(err.Error(), "ulimit -n") {
		t.Error(err)
	}
}

// TestConsumerWakeIsKept: a consumer that is woken before it begins to wait does not wait. It would see for a second
// neither that it is to stop nor that there is room for messages again.
func TestConsumerWakeIsKept(t *testing.T) {
	s := newServer(t)
	c := openConn(t, s.ConnStr(), "", adaptertest.NewRecorder())
	k, err := c.newConsumer(adapters.SubscribeConfig{Topics: []string{"unused"}, Window: 1}, adaptertest.NewCollector())
	if err != nil {
		t.Fatal(err)
	}
	defer k.destroy()
	const long = 20 * time.Second
	for !k.idle(time.Second) { // what librdkafka says at its start
	}
	k.wake()
	began := time.Now()
	if !k.idle(long) {
		t.Error("something happened")
	}
	if time.Since(began) >= long {
		t.Error("a wake before the wait is lost")
	}
}
