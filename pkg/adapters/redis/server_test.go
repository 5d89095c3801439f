// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// refused fails unless message seq was refused with an error of that kind that names topic, host, cause and
// remedy and holds text.
func refused(t *testing.T, r *adaptertest.Recorder, seq uint64, kind error, text string) {
	t.Helper()
	err, _ := r.Result(seq)
	var d *adapters.DeliveryError
	if !errors.Is(err, kind) || !errors.As(err, &d) || d.Topic == "" || d.Host == "" || d.Cause == "" || d.Remedy == "" || !strings.Contains(err.Error(), text) {
		t.Errorf("message %d: %v, want %v with %q", seq, err, kind, text)
	}
}

// TestWrongType: a key that is no stream refuses its messages, and no others.
func TestWrongType(t *testing.T) {
	s := newServer(t)
	do(t, s.c, "SET", "text", "value")
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "", r)
	var b adapters.Batch
	b.Append(1, 0, "stream", nil, []byte("before"))
	b.Append(2, 0, "text", nil, []byte("lost"))
	b.Append(3, 0, "stream", nil, []byte("after"))
	adaptertest.Send(t, c, &b)
	results(t, r, 3, 1)
	refused(t, r, 2, adapters.ErrRejected, "topic text on "+s.Addr+": the key exists and is no stream (WRONGTYPE")
	if got := consume(t, s.c, "stream", 2); len(got) != 2 || string(got[1].Payload) != "after" {
		t.Errorf("%v", got)
	}
	if got := do(t, s.c, "GET", "text"); got != "value" {
		t.Errorf("the key is now %v", got)
	}
	// Receiving: the one is refused, the other comes.
	got := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"text", "stream"}, FromStart: true}, got); err != nil {
		t.Fatal(err)
	}
	got.Wait(t, 2)
	if err := got.Refused("text"); !errors.Is(err, adapters.ErrRejected) || !strings.Contains(err.Error(), "is no stream") {
		t.Error(err)
	}
}

// TestOutOfMemory: a server that is full takes the messages later, all of them, in order; until then the
// connection says why.
func TestOutOfMemory(t *testing.T) {
	s := newServer(t)
	used, _, _ := strings.Cut(strings.TrimPrefix(do(t, s.c, "INFO", "memory").(string), "# Memory\r\nused_memory:"), "\r")
	n, err := strconv.Atoi(used)
	if err != nil {
		t.Fatal(err)
	}
	do(t, s.c, "CONFIG", "SET", "maxmemory", n+1<<20, "maxmemory-policy", "noeviction")
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "", r)
	const count = 4000
	var b adapters.Batch
	for i := range uint64(count) {
		b.Append(i+1, 0, "full", []byte("k"), fmt.Appendf(nil, "%06d%01000d", i+1, 0))
	}
	adaptertest.Send(t, c, &b)
	down(t, r, "raise maxmemory")
	if all, failed := r.Results(); failed != 0 || all == count {
		t.Fatalf("%d results, %d failures", all, failed)
	}
	do(t, s.c, "CONFIG", "SET", "maxmemory", "100mb")
	results(t, r, count, 0)
	r.WaitState(t, adapters.Connected) // it is told after the results that show it
	got := consume(t, s.c, "full", count)
	for i := range got {
		got[i].Payload = got[i].Payload[:6]
	}
	if n := inOrder(t, got, count); n != 0 {
		t.Errorf("%d came twice", n)
	}
}

// TestReadOnly: messages wait until the replica has become a master.
func TestReadOnly(t *testing.T) {
	master := newServer(t)
	s := newServer(t, "--replica-of", master.Addr)
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "", r)
	adaptertest.Send(t, c, batchOf(1, "stream", 500))
	down(t, r, "READONLY")
	down(t, r, "name the master")
	time.Sleep(300 * time.Millisecond)
	if all, _ := r.Results(); all != 0 {
		t.Errorf("%d results", all)
	}
	ups := 0
	for _, e := range r.States() {
		if e.State == adapters.Connected {
			ups++
		}
	}
	if ups > 1 {
		t.Errorf("it was called connected %d times", ups)
	}
	do(t, s.c, "REPLICAOF", "NO", "ONE")
	results(t, r, 500, 0)
	if n := inOrder(t, consume(t, s.c, "stream", 500), 500); n != 0 {
		t.Errorf("%d came twice", n)
	}
}

// TestTooLarge: the server's limit is known beforehand or learnt the hard way; the others go through.
func TestTooLarge(t *testing.T) {
	for name, acl := range map[string]string{"told": "+@all", "not told": "+@all -config"} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, "--config-line", "proto-max-bulk-len 1mb", "--config-line", "user limited on >secret ~* "+acl)
			r := adaptertest.NewRecorder()
			c := openConn(t, s.ConnStr(), "username = limited\npassword = secret", r)
			b := batchOf(1, "stream", 10)
			b.Append(11, 0, "stream", nil, make([]byte, 3<<20))
			for i := range uint64(10) {
				b.Append(12+i, 0, "stream", nil, fmt.Appendf(nil, "%06d", 11+i))
			}
			adaptertest.Send(t, c, b)
			results(t, r, 21, 1)
			refused(t, r, 11, adapters.ErrTooLarge, "3145728 bytes is larger than the server accepts")
			inOrder(t, consume(t, s.c, "stream", 20), 20)
		})
	}
}

// TestUsers: what the access control list says.
func TestUsers(t *testing.T) {
	s := newServer(t, "--config-line", "user writer on >open-sesame ~allowed* +xadd +ping",
		"--config-line", "user reader on >open-sesame ~allowed* +xreadgroup +xack +ping")
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "username = writer\npassword = open-sesame", r)
	b := batchOf(1, "allowed", 10)
	b.Append(11, 0, "denied", nil, []byte("lost"))
	b.Append(12, 0, "allowed", nil, []byte("000011"))
	adaptertest.Send(t, c, b)
	results(t, r, 12, 1)
	refused(t, r, 11, adapters.ErrUnauthorized, "grant it, such as ACL SETUSER writer ~denied +xadd")
	inOrder(t, consume(t, s.c, "allowed", 11), 11)

	// A reader who may not make groups uses one that is there.
	do(t, s.c, "XGROUP", "CREATE", "allowed", "mine", "0")
	reader := openConn(t, s.ConnStr(), "username = reader\npassword = open-sesame", adaptertest.NewRecorder())
	got := adaptertest.NewCollector()
	if err := reader.Subscribe(adapters.SubscribeConfig{Topics: []string{"allowed", "allowed-too", "denied"}, Group: "mine"}, got); err != nil {
		t.Fatal(err)
	}
	reader.Ack(got.Wait(t, 11))
	for _, topic := range []string{"allowed-too", "denied"} {
		adaptertest.Wait(t, "a word on "+topic, func() bool { return errors.Is(got.Refused(topic), adapters.ErrUnauthorized) })
	}
	if err := got.Refused("denied"); !strings.Contains(err.Error(), "+xgroup +xreadgroup") {
		t.Error(err)
	}
}

// TestBadCredentials: each gives a reason that says what to check, and keeps the secrets.
func TestBadCredentials(t *testing.T) {
	s := newServer(t, "--config-line", "requirepass right-password", "--config-line", "user known on >right-password ~* +@all")
	open := newServer(t)
	for name, c := range map[string]struct{ connStr, config, want string }{
		"none":          {s.ConnStr(), "", "set password"},
		"wrong":         {s.ConnStr(), "password = hunter2-hunter2", "check username and password"},
		"unknown user":  {s.ConnStr(), "username = nobody\npassword = hunter2-hunter2", "check username and password"},
		"not needed":    {open.ConnStr(), "password = hunter2-hunter2", "remove password"},
		"no such db":    {open.ConnStr(), "db = 99", "correct db"},
		"reading alone": {s.ConnStr(), "password = hunter2-hunter2", "check username and password"},
	} {
		t.Run(name, func(t *testing.T) {
			r := adaptertest.NewRecorder()
			conn, err := adapter{}.Open(adapters.Config{ConnStr: c.connStr, ConfigPath: configFile(t, c.config), ReceiveOnly: name == "reading alone",
				RetryInterval: 50 * time.Millisecond}, r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if name == "reading alone" {
				if err := conn.(adapters.Consumer).Subscribe(adapters.SubscribeConfig{Topics: []string{"x"}}, adaptertest.NewCollector()); err != nil {
					t.Fatal(err)
				}
			} else {
				adaptertest.Send(t, conn, batchOf(1, "x", 3))
			}
			down(t, r, c.want)
			if all, _ := r.Results(); all != 0 {
				t.Error("a message has a result")
			}
			for _, e := range r.States() {
				if strings.Contains(e.Reason, "hunter2") {
					t.Errorf("a secret in %q", e.Reason)
				}
			}
		})
	}
	// The right one, as a file and for a user.
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("right-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{"password = right-password", "password-file = " + secret, "username = known\npassword-file = " + secret} {
		r := adaptertest.NewRecorder()
		adaptertest.Send(t, openConn(t, s.ConnStr(), config, r), batchOf(1, "x", 3))
		results(t, r, 3, 0)
	}
	t.Setenv("PASSWORD_REDIS", "right-password")
	r := adaptertest.NewRecorder()
	adaptertest.Send(t, openConn(t, s.ConnStr(), "password = wrong", r), batchOf(1, "x", 3))
	results(t, r, 3, 0)
}

// TestAuthenticatesAgain: a server that was killed and comes back wants the password again, from the connection that
// publishes and from the one that receives.
func TestAuthenticatesAgain(t *testing.T) {
	s := newServer(t, "--durable", "--config-line", "requirepass right-password")
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "password = right-password", r)
	col := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"x"}, Group: "g", FromStart: true}, col); err != nil {
		t.Fatal(err)
	}
	adaptertest.Send(t, c, batchOf(1, "x", 3))
	results(t, r, 3, 0)
	c.Ack(col.Wait(t, 3))
	for restart := range 2 {
		s.Kill(t)
		s.Start(t)
		adaptertest.Send(t, c, batchOf(uint64(4+3*restart), "x", 3))
		results(t, r, 6+3*restart, 0)
		adaptertest.Wait(t, "the messages of this life", func() bool { return col.Different() == 6+3*restart })
		c.Ack(col.Messages())
	}
}

// TestNoServer: what is wrong with the address is told.
func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() { // speaks something else
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 mail.invalid ESMTP\r\n"))
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for connStr, want := range map[string]string{
		"127.0.0.1;1":               "connection refused; check that the server runs",
		"no-such-host.invalid;6379": "check the host name",
		"127.0.0.1;" + port:         "check that host and port are those of a Redis",
	} {
		r := adaptertest.NewRecorder()
		adaptertest.Send(t, openConn(t, connStr, "", r), batchOf(1, "x", 3))
		down(t, r, want)
	}
}

// TestServerList: several hosts are tried in turn.
func TestServerList(t *testing.T) {
	s := newServer(t)
	r := adaptertest.NewRecorder()
	adaptertest.Send(t, openConn(t, "127.0.0.1:1,"+s.Addr+";6379", "", r), batchOf(1, "x", 3))
	results(t, r, 3, 0)
}

// TestDatabase and the name of the connection.
func TestDatabase(t *testing.T) {
	s := newServer(t)
	r := adaptertest.NewRecorder()
	adaptertest.Send(t, openConn(t, s.ConnStr(), "db = 3\nclient-name = camera-7", r), batchOf(1, "x", 3))
	results(t, r, 3, 0)
	inOrder(t, consume(t, client(t, &goredis.Options{Addr: s.Addr, DB: 3}), "x", 3), 3)
	if list := fmt.Sprint(do(t, s.c, "CLIENT", "LIST")); !strings.Contains(list, "name=camera-7") {
		t.Error(list)
	}
}

// TestStreamSize: MAXLEN ~ keeps a stream short.
func TestStreamSize(t *testing.T) {
	s := newServer(t)
	r := adaptertest.NewRecorder()
	adaptertest.Send(t, openConn(t, s.ConnStr(), "streamsize = 1000", r), batchOf(1, "x", 5000))
	results(t, r, 5000, 0)
	if n := do(t, s.c, "XLEN", "x").(int64); n < 1000 || n > 1300 {
		t.Errorf("the stream has %d messages", n)
	}
}

// TestSilentServer: a server that is stopped is noticed, and nothing is lost when it goes on.
func TestSilentServer(t *testing.T) {
	s := newServer(t)
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "response-timeout = 1", r)
	adaptertest.Send(t, c, batchOf(1, "x", 100))
	results(t, r, 100, 0)
	do(t, s.c, "CLIENT", "PAUSE", 2500)
	adaptertest.Send(t, c, batchOf(101, "x", 100))
	down(t, r, "no answer to 100 messages for 1s")
	results(t, r, 200, 0)
	t.Logf("%d came twice", inOrder(t, consume(t, s.c, "x", 200), 200))
}

// TestPausedClose: a server that is there and does not answer holds no Close up, whatever is under way.
func TestPausedClose(t *testing.T) {
	s := newServer(t)
	text, err := os.ReadFile(filepath.Join(s.Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(text))[0])
	if err != nil {
		t.Fatal(err)
	}
	stopped := func(what string, f func()) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
		adaptertest.Within(t, what, time.Second, f)
	}
	cfg := adapters.SubscribeConfig{Topics: []string{"x"}, FromStart: true}
	r, got := adaptertest.NewRecorder(), adaptertest.NewCollector()
	c := openConn(t, s.ConnStr(), "", r)
	if err := c.Subscribe(cfg, got); err != nil {
		t.Fatal(err)
	}
	adaptertest.Send(t, c, batchOf(1, "x", 100))
	messages := got.Wait(t, 100)
	stopped("connected", func() {
		adaptertest.Send(t, c, batchOf(101, "x", 100))
		c.Ack(messages)
		time.Sleep(50 * time.Millisecond)
		if err := c.Subscribe(cfg, got); err != nil {
			t.Error(err)
		}
		_ = c.Close()
	})
	for _, config := range []string{"", "cluster = true", "sentinel-master = m"} {
		stopped("connecting "+config, func() {
			c := openConn(t, s.ConnStr(), config, adaptertest.NewRecorder())
			if err := c.Subscribe(cfg, got); err != nil {
				t.Error(err)
			}
			time.Sleep(50 * time.Millisecond)
			_ = c.Close()
		})
	}
}

// TestLargeMessages: many times what a chunk holds, and what the queue holds.
func TestLargeMessages(t *testing.T) {
	s := newServer(t)
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "streamsize = 5", r)
	var b adapters.Batch
	payload := make([]byte, 40<<20)
	b.Append(1, 0, "x", nil, payload[:5<<20])
	b.Append(2, 0, "x", nil, payload)
	for i := range uint64(20) {
		b.Append(3+i, 0, "x", nil, payload[:3<<20])
	}
	adaptertest.Send(t, c, &b)
	results(t, r, 22, 0)
}
