// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

// minder is a source that wants to know what became of each buffer, and tells
// its caps.
type minder struct {
	*Element
	mu     sync.Mutex
	made   int
	sure   int // of those made, how many downstream has taken
	ending bool
}

func (s *minder) SrcCaps() Caps { return NewCaps("text/x-raw, format=utf8") }

func (s *minder) Create() (Buffer, FlowReturn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.SrcFlow() == FlowOK {
		s.sure = s.made
	}
	if s.ending {
		return Buffer{}, FlowEOS
	}
	s.made++
	s.ending = s.OnceMore()
	return NewBuffer([]byte("x")), FlowOK
}

var _ = factory("ewtmind", &Class{
	Parent: ParentPushSrc, Proto: (*minder)(nil), Pads: []PadTemplate{{Name: "src", Direction: PadSrc, Presence: PadAlways, Caps: "ANY"}},
	New: func(e *Element) any { return &minder{Element: e} },
})

// TestOnceMore: also of the last of num-buffers it shows what became of it.
func TestOnceMore(t *testing.T) {
	for _, c := range []struct {
		line       string
		made, sure int
		end        gsttest.MessageType
	}{
		{"ewtmind name=x num-buffers=3 ! fakesink", 3, 3, gsttest.EOS},
		{"ewtmind name=x num-buffers=1 ! fakesink", 1, 1, gsttest.EOS},
		{"ewtmind name=x num-buffers=3 ! identity error-after=3 ! fakesink", 3, 2, gsttest.Error},
		{"ewtmind name=x num-buffers=3 ! identity eos-after=2 ! fakesink", 2, 1, gsttest.EOS},
	} {
		p := launch(t, c.line)
		x := instOf[minder](t, byName(t, p, "x"))
		p.SetState(gsttest.Playing, 0)
		if m := p.Wait(gsttest.EOS|gsttest.Error, patience); m == nil || m.Type != c.end {
			t.Errorf("%s: %v", c.line, m)
		}
		p.SetState(gsttest.Null, 0)
		if x.made != c.made || x.sure != c.sure {
			t.Errorf("%s: %d made, %d sure, want %d and %d", c.line, x.made, x.sure, c.made, c.sure)
		}
		if !x.SrcFlushing() {
			t.Error("an inactive pad is not flushing")
		}
	}
}

// TestSrcCaps: the source's caps and downstream's wishes meet, or negotiation fails.
func TestSrcCaps(t *testing.T) {
	p := launch(t, "ewtmind num-buffers=1 ! appsink name=out sync=false")
	out := byName(t, p, "out")
	p.SetState(gsttest.Playing, 0)
	if s := out.Pull(patience); s == nil || !strings.HasPrefix(s.Caps, "text/x-raw") {
		t.Errorf("%+v", s)
	}
	p.SetState(gsttest.Null, 0)
	if _, err := gsttest.Launch("ewtmind ! appsink caps=video/x-raw"); err == nil || !strings.Contains(err.Error(), "could not link") {
		t.Errorf("got %v", err)
	}
}

// TestPostMessageThen: the end of a message is told once, when it was read or could not be posted.
func TestPostMessageThen(t *testing.T) {
	var gone atomic.Int32
	e := makeElement(t, "ewttell")
	x := instOf[teller](t, e)
	if x.PostMessageThen(Structure{Name: "nobody"}, func() { gone.Add(1) }) || gone.Load() != 1 {
		t.Errorf("without a bus: %d", gone.Load())
	}
	p := launch(t, "ewttell name=x")
	x = instOf[teller](t, byName(t, p, "x"))
	x.tell = func(x *teller) {
		x.PostMessageThen(Structure{Name: "hello"}, func() { gone.Add(1); panic("it must not reach C") })
	}
	setState(t, &p.Element, gsttest.Ready)
	time.Sleep(10 * time.Millisecond)
	if gone.Load() != 1 {
		t.Error("an unread message is gone")
	}
	if m := p.Wait(gsttest.ElementMsg, patience); m == nil || m.Name != "hello" {
		t.Errorf("got %v", m)
	}
	eventually(t, "the end of the message", func() bool { return gone.Load() == 2 })
	findLog(t, "it must not reach C")
}
