// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"slices"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp/padtest"
)

// The pad whose push downstream blocks is the last without EOS: its release makes EOS
// due, and must not wait for that push to send it.
func TestReleaseOfTheLastWithoutEOSWhileItsPushBlocks(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0", "rtp_sink_1")
	setKeys(t, e.enc, cm80, 1, true)
	srcs[0].Push(rtp(2, 1, "x"), 0, padtest.Plain)
	srcs[0].EOS()
	e.out.Block(true)
	done := make(chan int, 1)
	go func() { done <- srcs[1].Push(rtp(1, 2, "x"), 0, padtest.Plain) }()
	eventually(t, "the push", e.out.Blocked)
	within(t, "the release", e.ends[1])
	e.ends = e.ends[:1]
	e.out.Block(false)
	<-done
	eventually(t, "EOS", func() bool { return slices.Contains(e.out.Events(), "eos") })
}

// A flush begins on a pad that is being released: it must not last for the others.
func TestFlushMeetsRelease(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0")
	setKeys(t, e.enc, cm80, 1, true)
	for n := range 300 {
		release, ok := padtest.Request(e.el.Pointer(), "rtp_sink_1")
		if !ok {
			t.Fatal("no pad")
		}
		s := padtest.NewSrc(e.el.Pointer(), "rtp_sink_1")
		s.Start(rtpCaps, 0)
		begun, done := make(chan bool), make(chan bool)
		go func() { close(begun); s.FlushStart(); close(done) }()
		<-begun
		time.Sleep(time.Duration(n%20) * time.Microsecond)
		release()
		<-done
		s.Close()
		e.out.Take()
		if ret := srcs[0].Push(rtp(9, n, "x"), 0, padtest.Plain); ret != 0 || len(e.out.Take()) != 1 {
			t.Fatalf("round %d: the other pad's packet is lost for good (%d)", n, ret)
		}
	}
}

// A second pad of the same name is refused, and EOS does not wait for it.
func TestRefusedPadDoesNotHoldEOS(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0")
	p := e.NewSink("rtp_sink_%d", "rtp_sink_9", KindRTP) // not put on the element
	e.ReleasePad(p)
	srcs[0].EOS()
	if !slices.Contains(e.out.Events(), "eos") {
		t.Error("no EOS")
	}
}

// rtp-sync holds RTP, not RTCP.
func TestSyncLeavesRTCPAlone(t *testing.T) {
	e := newEnc(t)
	s := e.sink(t, "rtcp_sink_0")
	setState(t, e.el, gsttest.Paused)
	setKeys(t, e.enc, cm80, 1, true)
	e.enc.SetSync(true)
	s.Start("application/x-rtcp", 0)
	within(t, "the push", func() { s.Push(rtcp(5, 1), time.Hour, padtest.Plain) })
}

func (b *encBin) NewSink(template, name string, k Kind) *gst.Pad {
	return b.enc.NewSink(template, name, k)
}
