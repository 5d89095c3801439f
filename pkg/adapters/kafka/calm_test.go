// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build !dynamic

package kafka

import (
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
	const count, size = 8000, 1000 // eight requests' worth, and five may be under way
	s := newServer(t, kfake.SeedTopics(1, "calm"))
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
	c := openConn(t, s.ConnStr(), "", r)
	adaptertest.Send(t, c, batchOf(1, "calm", count, size))
	<-held
	time.Sleep(100 * time.Millisecond) // what may be under way is
	began, before := time.Now(), polls()
	time.Sleep(500 * time.Millisecond)
	n, allowed := polls()-before, 4*uint64(time.Since(began).Milliseconds()) // of two threads and their wakers
	t.Logf("%d polls, %d allowed", n, allowed)
	if n > allowed {
		t.Errorf("%d calls of poll in %v; librdkafka spins", n, time.Since(began))
	}
	close(goOn)
	r.WaitResults(t, count)
}
