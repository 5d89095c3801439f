// SPDX-License-Identifier: LGPL-2.1-or-later

package outbox_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

// A half is a Subscriber whose serve is the test's.
type half struct {
	outbox.Conn
	outbox.Subscriber
	r       *adaptertest.Recorder
	serving chan *outbox.Subscription // what serve was called with
	fail    chan error                // what it is to return
}

func newHalf(cfg adapters.Config) *half {
	h := &half{r: adaptertest.NewRecorder(), serving: make(chan *outbox.Subscription, 10), fail: make(chan error)}
	cfg.RetryInterval, cfg.MaxRetryInterval = time.Millisecond, time.Millisecond
	h.Conn.Prepare(cfg, "h:1", h.r)
	h.Subscriber.Prepare(&h.Conn, func(sub *outbox.Subscription) error {
		h.serving <- sub
		h.Connected()
		for {
			select {
			case <-h.Stop:
				return nil
			case err := <-h.fail:
				return err
			case <-h.Changed():
				if !h.Wants(sub) {
					return nil
				}
			}
		}
	}, func(err error) string { return "because " + err.Error() })
	h.Begin(func() { <-h.Stop }, &h.Subscriber)
	return h
}

func (h *half) end() { h.End(&h.Subscriber, time.Second) }

func wanting(topics ...string) adapters.SubscribeConfig {
	return adapters.SubscribeConfig{Topics: topics}
}

// TestSubscriber: what is wanted is served, the newest of it, again after an error, and nobody else hears of it.
func TestSubscriber(t *testing.T) {
	h := newHalf(adapters.Config{})
	first, second := adaptertest.NewCollector(), adaptertest.NewCollector()
	h.Want(wanting("a"), first)
	a := <-h.serving
	if !slices.Equal(a.Topics, []string{"a"}) || a.Window != adapters.DefaultWindow {
		t.Errorf("%+v", a)
	}
	h.fail <- errors.New("it is lost")
	if again := <-h.serving; again != a {
		t.Errorf("%+v", again)
	}
	h.r.WaitReason(t, "because it is lost")
	told := 0
	tell := func(sub *outbox.Subscription) { h.Tell(sub, func(adapters.Receiver) { told++ }) }
	tell(a)
	h.Want(wanting("b"), second)
	tell(a)
	b := <-h.serving
	tell(b)
	if told != 2 || !slices.Equal(b.Topics, []string{"b"}) {
		t.Errorf("told %d times, %+v", told, b)
	}
	h.Want(wanting(), nil) // nothing
	tell(b)
	h.Want(wanting("c"), first)
	c := <-h.serving
	tell(c)
	if told != 3 {
		t.Errorf("told %d times", told)
	}
	if err := h.Open(); err != nil {
		t.Error(err)
	}
	h.end()
	tell(c)
	if told != 3 || h.Open() == nil {
		t.Errorf("told %d times, %v", told, h.Open())
	}
	h.Want(wanting("d"), first)
	h.end()
	select {
	case sub := <-h.serving:
		t.Errorf("served after the end: %+v", sub)
	default:
	}
}

// TestReceiveOnly: there is a connection with nothing to receive, too; and the end waits for whoever is being told.
func TestReceiveOnly(t *testing.T) {
	h := newHalf(adapters.Config{ReceiveOnly: true})
	if sub := <-h.serving; sub != nil {
		t.Errorf("%+v", sub)
	}
	h.r.WaitState(t, adapters.Connected)
	h.Want(wanting("a"), adaptertest.NewCollector())
	a := <-h.serving
	inside, ended := make(chan struct{}), make(chan struct{})
	go h.Tell(a, func(adapters.Receiver) {
		close(inside)
		time.Sleep(20 * time.Millisecond)
		close(ended)
	})
	<-inside
	h.end()
	select {
	case <-ended:
	default:
		t.Error("the end has not waited for the receiver")
	}
}

// TestPanic: a goroutine that breaks makes the Conn Failed, and nothing else.
func TestPanic(t *testing.T) {
	h := newHalf(adapters.Config{})
	h.Go("something", func() { panic("broken") })
	adaptertest.Wait(t, "the failure", func() bool { return h.Parts.State() == adapters.Failed })
	if _, err := h.PutChecked(&adapters.Batch{}, 0, nil); err == nil {
		t.Error("messages are taken")
	}
	if err := h.Open(); err == nil {
		t.Error("subscriptions are taken")
	}
	h.end()
}
