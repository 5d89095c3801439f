// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build !dynamic

package kafka

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestCalm: with more to send than may be under way, and a server that takes its time, nobody asks the socket in vain
// over and over. Without calm.c it is some hundred thousand times a second.
func TestCalm(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testCalm(t, "") })
	t.Run("TLS", func(t *testing.T) { // where an answer may be in OpenSSL's buffer
		dir := t.TempDir()
		if out, err := exec.Command("../../../scripts/test-pki", dir).CombinedOutput(); err != nil {
			t.Fatalf("scripts/test-pki: %v: %s", err, out)
		}
		cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		testCalm(t, "[message-broker]\nproto-cfg = \"security.protocol=ssl;ssl.ca.location="+dir+"/ca.pem\"\n",
			kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	})
}

func testCalm(t *testing.T, config string, opts ...kfake.Opt) {
	const count, size = 8000, 1000 // eight requests' worth, and five may be under way
	s := newServer(t, append(opts, kfake.SeedTopics(1, "calm"))...)
	if config != "" {
		config = writeFile(t, "calm.cfg", config)
	}
	held, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.SleepControl(func() {
			once.Do(func() { close(held) })
			<-goOn
		})
		return nil, nil, false
	})
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), config, r)
	adaptertest.Send(t, c, batchOf(1, "calm", count, size))
	<-held
	time.Sleep(100 * time.Millisecond) // what may be under way is
	began, before := time.Now(), polls()
	time.Sleep(500 * time.Millisecond)
	n, allowed := polls()-before, 4*uint64(time.Since(began).Milliseconds()) // of two threads and their wakers
	t.Logf("%d polls, %d allowed", n, allowed)
	if n == 0 { // one waits for an answer, and for a millisecond at a time
		t.Error("calm.c knows no thread of a broker by its name")
	}
	if n > allowed {
		t.Errorf("%d calls of poll in %v; librdkafka spins", n, time.Since(began))
	}
	close(goOn)
	r.WaitResults(t, count)
}

// calmRules calls __wrap_poll with a __real_poll that notes how long it is to wait and answers what it is told.
const calmRules = `
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include "calm.h"

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

static int answer, waited;

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	(void)fds;
	(void)n;
	waited = timeout_ms;
	return answer;
}

static void ask(int fd, nfds_t n, int timeout_ms, int found)
{
	struct pollfd fds[2] = {{fd, POLLIN, 0}, {fd + 100, POLLIN, 0}};

	answer = found;
	printf("%d", __wrap_poll(n ? fds : NULL, n, timeout_ms) == found ? waited : -99);
}

static void *run(void *name)
{
	if (name)
		pthread_setname_np(pthread_self(), name);
	ask(3, 2, 0, 0), ask(3, 2, 0, 0), ask(3, 2, 0, 0), printf(" ");  /* nothing, three times */
	ask(3, 2, 0, 1), ask(3, 2, 0, 0), ask(3, 2, 0, 0), printf(" ");  /* something, then nothing */
	ask(4, 2, 0, 0), ask(4, 2, 0, 0), printf(" ");                   /* another descriptor */
	ask(4, 2, 7, 0), ask(4, 2, 0, 0), ask(4, 2, -1, 1), printf(" "); /* with a time-out */
	ask(4, 2, 0, 0), ask(4, 2, 0, -1), ask(4, 2, 0, 0), printf(" "); /* interrupted */
	ask(4, 0, 0, 0), ask(4, 0, 0, 0), ask(4, 1, 0, 0), ask(4, 1, 0, 0);
	printf(" %lu\n", ew_calm_calls());
	return NULL;
}

int main(void)
{
	static char *const names[] = {NULL, "rdk:main", "rdk:broker-1", "rdk:broker12", "worker"};
	pthread_t t;

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (pthread_create(&t, NULL, run, names[i]) || pthread_join(t, NULL))
			return 1;
	return 0;
}
`

// TestCalmRules: a thread of a broker that found nothing waits the next time, and nobody else does.
func TestCalmRules(t *testing.T) {
	dir := t.TempDir()
	source, program := filepath.Join(dir, "rules.c"), filepath.Join(dir, "rules")
	if err := os.WriteFile(source, []byte(calmRules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-I.", "-o", program, source, "calm.c",
		"-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	const other, broker = "000 000 00 70-1 000 0000 ", "011 101 01 70-1 010 0001 "
	if want := other + "0\n" + other + "0\n" + broker + "18\n" + broker + "36\n" + other + "36\n"; string(out) != want {
		t.Errorf("waits of\n%swant\n%s", out, want)
	}
}
