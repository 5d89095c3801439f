// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp/padtest"
)

const flushing = -2

func playing(t testing.TB, pads ...string) (*encEnd, []*padtest.Src) {
	t.Helper()
	e := newEnc(t)
	setState(t, e.el, gsttest.Playing)
	var srcs []*padtest.Src
	for _, p := range pads {
		s := e.sink(t, p)
		s.Start(rtpCaps, 0)
		srcs = append(srcs, s)
	}
	return e, srcs
}

// opened decrypts what an encoder sent.
func opened(t testing.TB, p crypto.Policy, key byte, packets []padtest.Packet) [][]byte {
	t.Helper()
	r, err := crypto.NewReceiver(p, keyFor(p, key), crypto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for i, b := range datas(packets) {
		n, err := 0, error(nil)
		if len(b) > 1 && b[1] >= 192 && b[1] <= 223 {
			n, err = r.UnprotectRTCP(b, b)
		} else {
			n, err = r.UnprotectRTP(b, b)
		}
		if err != nil {
			t.Fatalf("packet %d does not open: %v", i, err)
		}
		out = append(out, b[:n])
	}
	return out
}

func equalAll(t testing.TB, got [][]byte, want ...[]byte) {
	t.Helper()
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("got %d packets\n%x\nwant %d\n%x", len(got), got, len(want), want)
	}
}

var hows = map[string]padtest.How{"plain": padtest.Plain, "shared": padtest.Shared, "parts": padtest.Parts,
	"read-only": padtest.ReadOnly, "meta": padtest.Meta}

func TestEveryMemoryThroughBoth(t *testing.T) {
	for name, how := range hows {
		for pname, p := range map[string]crypto.Policy{"null": {}, "cm80": cm80, "cm32": cm32, "gcm128": gcm128, "gcm256": gcm256} {
			t.Run(name+"/"+pname, func(t *testing.T) {
				e, srcs := playing(t, "rtp_sink_0")
				d := newDec(t)
				d.in.Start("", 0)
				setKeys(t, e.enc, p, 1, true)
				setKeys(t, d.dec, p, 1, true)
				var want, muxed [][]byte
				push := func(b []byte, list ...[]byte) {
					ret := 0
					if list != nil {
						ret = srcs[0].PushList(list, how)
					} else {
						ret = srcs[0].Push(b, 40, how)
					}
					if ret != 0 {
						t.Fatalf("push: %d", ret)
					}
				}
				for i := range 3 {
					b := rtp(9, i, strings.Repeat("payload ", 20*i))
					want = append(want, b)
					push(b)
				}
				muxed = append(muxed, rtcp(9, 0))
				push(muxed[0])
				var list [][]byte
				for i := range 150 {
					b := rtp(9, 3+i, fmt.Sprint("in a list ", i))
					want = append(want, b)
					list = append(list, b)
				}
				list = append(list, rtcp(9, 1))
				muxed = append(muxed, list[150])
				push(nil, list...)
				sent := e.out.Take()
				if len(sent) != len(want)+2 || e.out.Lists() != 1 {
					t.Fatalf("%d packets, %d lists left", len(sent), e.out.Lists())
				}
				for i, b := range sent {
					if p != (crypto.Policy{}) && bytes.Contains(b.Data, []byte("payload")) {
						t.Fatalf("packet %d is not encrypted", i)
					}
					if how == padtest.Meta && (b.Metas != 1 || !b.Marker || b.Duration != 20*time.Millisecond || b.PTS != b.DTS) {
						t.Fatalf("packet %d lost what it had: %+v", i, b)
					}
					if i < 3 && b.PTS != 40 {
						t.Fatalf("PTS %d", b.PTS)
					}
				}
				for i, b := range datas(sent) {
					if i < 4 {
						if ret := d.in.Push(b, 40, how); ret != 0 {
							t.Fatalf("decoder: %d", ret)
						}
					}
				}
				if ret := d.in.PushList(datas(sent)[4:], how); ret != 0 {
					t.Fatalf("decoder, list: %d", ret)
				}
				got := d.rtp.Take()
				wantPackets(t, "rtp_src", got, want...)
				wantPackets(t, "rtcp_src", d.rtcp.Take(), muxed...)
				if how == padtest.Meta && (got[0].Metas != 1 || !got[0].Marker || got[9].Metas != 1) {
					t.Errorf("the decoder lost metas or flags: %+v", got[0])
				}
				if d.rtp.Lists() != 1 {
					t.Errorf("%d lists left the decoder", d.rtp.Lists())
				}
				se, sd := e.enc.Stats(), d.dec.Stats()
				if p != (crypto.Policy{}) && (se.RTPPackets != 153 || se.RTCPPackets != 2 || sd.RTPPackets != 153 || sd.RTCPPackets != 2 ||
					se.RTPBytes != sd.RTPBytes) {
					t.Errorf("stats %+v %+v", se, sd)
				}
			})
		}
	}
}

func TestHeldUntilTheKey(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0", "rtcp_sink_0")
	var want [][]byte
	for i := range 600 {
		b := rtp(5, i, "x")
		if i >= 600-512 {
			want = append(want, b)
		}
		srcs[0].Push(b, 0, padtest.Plain)
	}
	srcs[1].Push(rtcp(5, 1), 0, padtest.Plain)
	if n := e.out.Count(); n != 0 {
		t.Fatalf("%d packets were sent without a key", n)
	}
	if s := e.enc.Stats(); s.Held != 513 || s.BeforeKey != 88 {
		t.Fatalf("%+v", s)
	}
	setKeys(t, e.enc, gcm128, 3, true)
	late := rtp(5, 600, "y")
	srcs[0].Push(late, 0, padtest.Plain)
	want = append(want, rtcp(5, 1), late)
	equalAll(t, opened(t, gcm128, 3, e.out.Take()), want...)
	if s := e.enc.Stats(); s.Held != 0 {
		t.Errorf("%+v", s)
	}
}

func TestHeldBytesAreBounded(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0")
	for i := range 40 {
		srcs[0].Push(rtp(5, i, strings.Repeat("x", 60000)), 0, padtest.Plain)
	}
	if s := e.enc.Stats(); s.Held != (1<<20)/60012 || s.Held+s.BeforeKey != 40 {
		t.Fatalf("%+v", s)
	}
}

// Keys come at any moment while a thread pushes: nothing is lost or overtaken.
func TestKeysWhilePushing(t *testing.T) {
	for range 30 {
		e, srcs := playing(t, "rtp_sink_0")
		var want [][]byte
		for i := range 300 {
			want = append(want, rtp(5, i, "x"))
		}
		done := make(chan bool)
		go func() {
			for _, b := range want {
				srcs[0].Push(b, 0, padtest.Plain)
			}
			close(done)
		}()
		setKeys(t, e.enc, cm80, 1, true)
		<-done
		equalAll(t, opened(t, cm80, 1, e.out.Take()), want...)
	}
}

func TestStopDropsWhatIsHeld(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0")
	srcs[0].Push(rtp(5, 0, "x"), 0, padtest.Plain)
	setState(t, e.el, gsttest.Ready)
	if s := e.enc.Stats(); s.Held != 0 || s.BeforeKey != 1 {
		t.Errorf("%+v", s)
	}
	setKeys(t, e.enc, cm80, 1, true)
	if n := e.out.Count(); n != 0 {
		t.Errorf("%d packets after the stop", n)
	}
}

func TestFlushWhileHeld(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0", "rtp_sink_1")
	srcs[0].Push(rtp(5, 0, "old"), 0, padtest.Plain)
	srcs[1].Push(rtp(6, 0, "other"), 0, padtest.Plain)
	srcs[0].FlushStart()
	if ret := srcs[0].Push(rtp(5, 1, "in between"), 0, padtest.Plain); ret != flushing {
		t.Errorf("a push while flushing: %d", ret)
	}
	// The other branch and the DTLS side do not stop by it.
	if ret := srcs[1].Push(rtp(6, 1, "lost"), 0, padtest.Plain); ret != 0 {
		t.Errorf("the other branch: %d", ret)
	}
	if ret := e.enc.PushData([]byte{22}); ret != 0 {
		t.Errorf("the DTLS side: %d", ret)
	}
	srcs[0].FlushStop()
	setKeys(t, e.enc, cm80, 1, true)
	srcs[0].Start(rtpCaps, 0)
	srcs[0].Push(rtp(5, 2, "new"), 0, padtest.Plain)
	equalAll(t, opened(t, cm80, 1, e.out.Take()), rtp(6, 0, "other"), rtp(6, 1, "lost"), rtp(5, 2, "new"))
	ev := e.out.Events()
	if i := slices.Index(ev, "flush-stop"); i < 0 || !slices.Contains(ev[i:], "segment") {
		t.Errorf("events %v", ev)
	}
}

func TestEventsOfOneStream(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0", "rtp_sink_1", "rtcp_sink_0")
	setKeys(t, e.enc, cm80, 1, true)
	e.enc.PushData([]byte{22, 1, 2})
	if got := e.out.Caps(); got != "application/x-dtls" {
		t.Errorf("caps %s", got)
	}
	srcs[2].Push(rtcp(5, 0), 0, padtest.Plain)
	if got := e.out.Caps(); got != "application/x-srtcp" {
		t.Errorf("caps %s", got)
	}
	for i := range 4 {
		srcs[0].Push(rtp(5, i, "x"), 0, padtest.Plain)
		e.enc.PushData([]byte{22, 1, 2})
		srcs[2].Push(rtcp(5, i), 0, padtest.Plain)
	}
	if got := e.out.Caps(); !strings.HasPrefix(got, "application/x-srtp, media=(string)audio") || strings.Contains(got, "key") {
		t.Errorf("caps %s", got)
	}
	want := []string{"stream-start", "caps", "segment", "caps", "caps"}
	if got := e.out.Events(); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	// Another stream with the same caps and segment changes nothing; with others, once.
	for i := range 4 {
		srcs[1].Push(rtp(6, i, "x"), 0, padtest.Plain)
		srcs[0].Push(rtp(5, 4+i, "x"), 0, padtest.Plain)
	}
	if got := e.out.Events(); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	srcs[1].Start("application/x-rtp,media=video", 0)
	for i := range 4 {
		srcs[1].Push(rtp(6, 4+i, "x"), 0, padtest.Plain)
		srcs[0].Push(rtp(5, 8+i, "x"), 0, padtest.Plain)
	}
	if got := e.out.Events(); !slices.Equal(got, append(want, "caps")) || e.out.Caps() != "application/x-srtp" {
		t.Errorf("events %v, caps %s", got, e.out.Caps())
	}
	// A segment that differs is needed at every change.
	srcs[1].Start("application/x-rtp,media=video", time.Second)
	for i := range 2 {
		srcs[1].Push(rtp(6, 8+i, "x"), 0, padtest.Plain)
		srcs[0].Push(rtp(5, 12+i, "x"), 0, padtest.Plain)
	}
	if got := e.out.Events(); !slices.Equal(got, append(want, "caps", "segment", "segment", "segment", "segment")) {
		t.Errorf("events %v", got)
	}
}

func TestEOSWaitsForAll(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0", "rtcp_sink_0")
	eos := func() bool { return slices.Contains(e.out.Events(), "eos") }
	e.enc.SetDataSink(true)
	setKeys(t, e.enc, cm80, 1, true)
	srcs[0].Push(rtp(5, 0, "x"), 0, padtest.Plain)
	srcs[0].EOS()
	if srcs[0].Push(rtp(5, 1, "x"), 0, padtest.Plain) != -3 {
		t.Error("data after EOS")
	}
	srcs[1].EOS()
	if eos() {
		t.Fatal("EOS before the data side's")
	}
	e.enc.DataEOS()
	if !eos() {
		t.Fatal("no EOS")
	}
	// A new stream ends it.
	srcs[0].Start(rtpCaps, 0)
	if ret := srcs[0].Push(rtp(5, 2, "x"), 0, padtest.Plain); ret != 0 {
		t.Errorf("after a new stream-start: %d", ret)
	}
}

func TestEOSByRelease(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0", "rtp_sink_1")
	setKeys(t, e.enc, cm80, 1, true)
	srcs[0].EOS()
	if slices.Contains(e.out.Events(), "eos") {
		t.Fatal("EOS too early")
	}
	srcs[1].Close()
	e.ends[1]()
	e.ends = e.ends[:1]
	if !slices.Contains(e.out.Events(), "eos") {
		t.Error("no EOS after the last pad without it is gone")
	}
}

func TestEOSWaitsForWhatIsHeld(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0")
	b := rtp(5, 0, "x")
	srcs[0].Push(b, 0, padtest.Plain)
	srcs[0].EOS()
	if slices.Contains(e.out.Events(), "eos") {
		t.Fatal("EOS overtook")
	}
	setKeys(t, e.enc, cm80, 1, true)
	equalAll(t, opened(t, cm80, 1, e.out.Take()), b)
	if ev := e.out.Events(); ev[len(ev)-1] != "eos" {
		t.Errorf("events %v", ev)
	}
}

func TestMalformedIsDroppedAndCounted(t *testing.T) {
	e, srcs := playing(t, "rtp_sink_0", "rtcp_sink_0")
	setKeys(t, e.enc, cm80, 1, true)
	for _, b := range [][]byte{nil, {0x80}, rtp(1, 1, "")[:11], append([]byte{0x40}, rtp(1, 1, "")[1:]...), rtcp(1, 1)[:7]} {
		for _, s := range srcs {
			for name, how := range hows {
				if ret := s.Push(b, 0, how); ret != 0 {
					t.Errorf("%x %s: %d", b, name, ret)
				}
			}
		}
	}
	if s := e.enc.Stats(); s.Malformed != 50 || e.out.Count() != 0 {
		t.Errorf("%+v, %d sent", s, e.out.Count())
	}
	good := rtp(1, 7, "")
	srcs[0].PushList([][]byte{{1}, good, nil}, padtest.Plain)
	equalAll(t, opened(t, cm80, 1, e.out.Take()), good)
}

func TestRekeyUnderTraffic(t *testing.T) {
	e, _ := playing(t)
	d := newDec(t)
	d.in.Close()
	e.out.Close()
	if !e.el.Link("src", d.el, "sink") {
		t.Fatal("cannot link")
	}
	setKeys(t, d.dec, cm80, 1, true)
	setKeys(t, e.enc, cm80, 1, true)
	const threads, each = 4, 2000
	var wg sync.WaitGroup
	var pushed [threads]atomic.Int32
	for i := range threads {
		s := e.sink(t, fmt.Sprintf("rtp_sink_%d", i))
		s.Start(rtpCaps, 0)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range each {
				// Two SSRCs a thread, over the end of the sequence numbers.
				ssrc := uint32(10*i + n&1)
				var ret int
				if n%3 == 0 {
					ret = s.PushList([][]byte{rtp(ssrc, 65000+n/2, "list")}, padtest.Shared)
				} else {
					ret = s.Push(rtp(ssrc, 65000+n/2, "single"), 0, padtest.Plain)
				}
				if ret != 0 {
					t.Errorf("push: %d", ret)
				}
				pushed[i].Add(1)
			}
		}()
	}
	// No thread may still have a packet from before the last change but one.
	allMoved := func() {
		for i := range pushed {
			from := pushed[i].Load()
			eventually(t, "a thread", func() bool { n := pushed[i].Load(); return n > from+1 || n == each })
		}
	}
	policies := []crypto.Policy{cm80, gcm128, gcm256, cm32}
	for i := range 40 {
		p := policies[i%4]
		// The receiver first, as the keys of a handshake come: nothing is sent under
		// a key that it has not.
		setKeys(t, d.dec, p, byte(2+i), false)
		setKeys(t, e.enc, p, byte(2+i), false)
		allMoved()
	}
	wg.Wait()
	se, sd := e.enc.Stats(), d.dec.Stats()
	if se.RTPPackets != threads*each || sd.RTPPackets != threads*each || d.rtp.Count() != threads*each {
		t.Errorf("sent %d, received %d, of %d: %+v", se.RTPPackets, sd.RTPPackets, threads*each, sd)
	}
}

func TestReleaseWhilePushing(t *testing.T) {
	e, _ := playing(t)
	setKeys(t, e.enc, cm80, 1, true)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 40 {
				name := fmt.Sprintf("rtp_sink_%d", 10*n+i)
				release, ok := padtest.Request(e.el.Pointer(), name)
				if !ok {
					t.Errorf("no pad %s", name)
					return
				}
				s := padtest.NewSrc(e.el.Pointer(), name)
				s.Start(rtpCaps, 0)
				stop := make(chan bool)
				go func() {
					defer close(stop)
					for k := 0; s.Push(rtp(uint32(i), 50*n+k, "x"), 0, padtest.Plain) == 0 && k < 45; k++ {
					}
				}()
				release()
				<-stop
				s.Close()
			}
		}()
	}
	within(t, "the releases", wg.Wait)
}

// Downstream blocks in a push: a release and a stop end all the same.
func TestStopAndReleaseWhileDownstreamBlocks(t *testing.T) {
	for _, what := range []string{"release", "stop", "keys and stop"} {
		t.Run(what, func(t *testing.T) {
			e, srcs := playing(t, "rtp_sink_0", "rtp_sink_1")
			if what != "keys and stop" {
				setKeys(t, e.enc, cm80, 1, true)
			}
			unblock := e.el.StaticPad("src")
			defer unblock.Unref()
			stopBlock := unblock.Block()
			defer stopBlock()
			done := make(chan int, 3)
			if what == "keys and stop" {
				srcs[0].Push(rtp(1, 1, "held"), 0, padtest.Plain)
				go func() { e.enc.SetKeys(cm80, keyFor(cm80, 1), true); done <- 0 }()
			}
			go func() { done <- srcs[0].Push(rtp(1, 2, "x"), 0, padtest.Plain) }()
			go func() { done <- int(e.enc.PushData([]byte{22})) }()
			time.Sleep(10 * time.Millisecond) // until they are inside
			if what == "release" {
				within(t, "the release", e.ends[0])
				e.ends = e.ends[1:]
			}
			within(t, "the stop", func() { setState(t, e.el, gsttest.Null) })
			n := 2
			if what == "keys and stop" {
				n = 3
			}
			within(t, "the pushes", func() {
				for range n {
					<-done
				}
			})
		})
	}
}

func TestStandsInPipelines(t *testing.T) {
	p, err := gsttest.Launch("videotestsrc num-buffers=30 ! video/x-raw,width=64,height=64 ! rtpvrawpay mtu=400 ! tee name=t " +
		"t. ! queue ! e.rtp_sink_0 ewsrtpenc name=e e.src ! tee name=u u. ! queue ! ewsrtpdec name=d d.rtp_src ! appsink name=out sync=false " +
		"t. ! queue ! appsink name=plain sync=false u. ! queue ! fakesink")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ee, de, out, plain := p.ByName("e"), p.ByName("d"), p.ByName("out"), p.ByName("plain")
	for _, el := range []*gsttest.Element{ee, de, out, plain} {
		defer el.Unref()
	}
	x, _ := instances.LoadAndDelete(ee.Pointer())
	y, _ := instances.LoadAndDelete(de.Pointer())
	setKeys(t, x.(*encBin).enc, gcm128, 1, true)
	setKeys(t, y.(*decBin).dec, gcm128, 1, true)
	if err := p.SetState(gsttest.Playing, 0); err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		a, b := plain.Pull(patience), out.Pull(patience)
		if a == nil || b == nil {
			if a != nil || b != nil {
				t.Errorf("one has ended after %d", n)
			}
			break
		}
		n++
		if !bytes.Equal(a.Data, b.Data) || a.PTS != b.PTS {
			t.Fatalf("packet %d differs", n)
		}
		if !strings.HasPrefix(b.Caps, "application/x-rtp, media=(string)video") {
			t.Fatalf("caps %s", b.Caps)
		}
	}
	if n < 30 {
		t.Errorf("%d packets", n)
	}
}
